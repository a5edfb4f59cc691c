"""What the server requests for others."""
