"""What a worker is locked in by."""
