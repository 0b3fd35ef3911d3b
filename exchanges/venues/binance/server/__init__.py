"""Binance's protocol from its server's side: what is taken, what is refused and in which words."""
