"""A record per request, kept by a process of its own."""
