"""The dependencies of functions: read from their manifests, installed by pip (or uv) and npm, kept by content."""
