"""What a stream brings, on its way into Redis: queued, written together, told, fenced."""
