"""Profiles of slow calls: whose they are, what they look like, where they are kept."""
