"""What is streamed: read from Redis once, written to every client that listens."""
