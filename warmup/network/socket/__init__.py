"""The page's WebSocket: what changes is read once, and sent to every browser."""
