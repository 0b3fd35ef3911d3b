"""Coinbase Advanced Trade's protocol as the sandbox speaks it."""
