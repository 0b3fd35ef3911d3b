"""Telling people by their channels: queued in the database, sent, tried again, shown."""
