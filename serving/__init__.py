"""Candles for programs: exchanges' own protocols, answered from the cache, and never a guess."""
