"""What is promised to programs that read candles."""
