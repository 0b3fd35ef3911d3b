"""Coinbase Advanced Trade: its public market data, or the signed twins where a key is set."""
