"""The log service: what SLS's clients speak to."""
