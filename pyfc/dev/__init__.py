"""What a developer sees and does while functions are served."""
