"""What candles are: timeframes, coverage, indicators, and the names of all keys. Pure code."""
