"""Queues: what was promised to be called, until it has been."""
