"""Where archives of code are kept: one file per engine."""
