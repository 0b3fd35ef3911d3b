"""One WebSocket (RFC 6455) over a socket that is open: its handshake, its frames, what is sent."""
