"""What is counted of requests: for Prometheus, and for the Network page."""
