"""What is answered: from memory while Redis has the same, from the cache, or fetched first."""
