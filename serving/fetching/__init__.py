"""What exchanges are asked for programs: candles for the cache, and what is not kept. Each once."""
