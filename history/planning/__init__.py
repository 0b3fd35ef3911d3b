"""Filling history in numbers: what is to be asked for, what that costs, what it came to."""
