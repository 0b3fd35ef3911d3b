"""What is answered about candles: from the cache, from history, or fetched first."""
