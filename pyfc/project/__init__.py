"""Project formats: one file per format, FC's own files only, plus a folder that has none."""
