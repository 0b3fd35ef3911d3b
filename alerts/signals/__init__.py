"""Signals of pairs: what a close says to traders, each once, with what it stands on."""
