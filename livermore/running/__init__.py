"""What `./run` does: install, first start, children that are watched over, a Redis of its own."""
