"""Destinations that are no functions: each kind of ARN is delivered to a configured endpoint."""
