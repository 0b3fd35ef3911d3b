"""What may be told: sources that look at one subject each, and say what they see of it."""
