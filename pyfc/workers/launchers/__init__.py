"""Ways to start a worker; a name in `runtime.toml` is the name of a file here."""
