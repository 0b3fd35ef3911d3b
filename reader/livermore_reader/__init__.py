"""Complete, typed, honest candles from Livermore's cache. It imports nothing of Livermore."""

__version__ = "0.1.0"
