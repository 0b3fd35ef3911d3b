"""The command that serves candles to programs."""
