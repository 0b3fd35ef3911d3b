"""The page's WebSocket: what changes is read once, and told to every browser."""
