"""Where candles are kept and completed: scanned, fetched, repaired, streamed, shown."""
