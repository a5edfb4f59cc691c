"""What functions would cost in the cloud, from what they have used here."""
