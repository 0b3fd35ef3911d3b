"""What is kept in Redis of each pair: candles, coverage, indicators, and what was told of them."""
