"""What is promised of exchanges that are live: whatever they send, and however many there are."""
