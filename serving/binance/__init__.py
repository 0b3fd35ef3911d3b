"""Binance's spot protocol over the candles of any exchange."""
