"""Coinbase's public market data over the candles of its rows."""
