"""Trigger types: one file per type, named as FC names the type."""
