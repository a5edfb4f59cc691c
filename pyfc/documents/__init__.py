"""FC's JSON objects, declared once for the management API and for template files."""
