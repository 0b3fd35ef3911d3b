"""Calling an exchange over HTTP: paced, retried, limited, its answers turned into candles."""
