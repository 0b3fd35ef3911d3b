"""Candles that exchanges publish in bulk: got, proven, compared with REST, which wins."""
