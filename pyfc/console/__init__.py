"""The web console: a process of its own, which knows the product by its API only (pyfc.client)."""
