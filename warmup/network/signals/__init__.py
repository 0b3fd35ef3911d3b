"""The Signals page: MACD-V, price and volume of every symbol in every timeframe, at a glance."""
