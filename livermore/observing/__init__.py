"""What is seen from outside: health, metrics' address, logs, error pages, all without secrets."""
