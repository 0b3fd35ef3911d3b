"""Years of candles in Parquet files that any tool reads, as true as the cache."""
