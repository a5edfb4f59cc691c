"""This machine: launching, sandboxing and talking to worker processes."""
