"""Streaming an exchange over WebSockets: connections, subscriptions, silence, reconnecting."""
