"""Where desired state is kept: one file per engine; the name of an engine is the name of its file."""
