"""Bots that read candles of `serve`, each of which they compare with the sandbox's truth."""
