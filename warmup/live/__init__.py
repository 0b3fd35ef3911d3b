"""From a stream's events to the cache: bars closed once and in order, holes healed, MACD-V."""
