"""Where candles are read: from Redis itself, or from `serve` over HTTP."""
