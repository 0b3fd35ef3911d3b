"""Random candles of cache and history beside what the exchange, and another one, tell of them."""
