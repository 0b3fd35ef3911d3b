"""Candles that history and cache have, written as a person or another program wants them."""
