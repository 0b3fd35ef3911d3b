"""Binance's spot protocol: binance.com, Binance.US and the sandbox, which differ by URL alone."""
