"""The sandbox's HTTP and WebSocket server, its control paths, its limits, its records."""
