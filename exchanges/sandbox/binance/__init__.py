"""Binance's protocol as the sandbox speaks it."""
