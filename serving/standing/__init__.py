"""What an answer stands on: how much of it the cache had, and how that came there."""
