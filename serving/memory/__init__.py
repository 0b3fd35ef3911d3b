"""What is kept in memory of a pair: its candles while Redis has the same, and as written out."""
