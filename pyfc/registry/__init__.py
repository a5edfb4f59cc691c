"""Desired state: what the user wants to be served, and how a deployment changes it."""
