"""Connections of programs: how many there may be, for how long, and what is no request."""
