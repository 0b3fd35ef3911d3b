"""What Prometheus is told: every metric by name, and where its value is read."""
