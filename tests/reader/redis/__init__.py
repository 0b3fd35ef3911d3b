"""Reading from Redis itself: wherever it is, and whatever is in it."""
