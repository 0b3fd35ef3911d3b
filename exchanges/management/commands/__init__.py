"""Commands on exchanges: each parses what was typed, and a class does the work."""
