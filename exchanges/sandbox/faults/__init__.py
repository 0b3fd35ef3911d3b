"""What can be made to go wrong: answers, rows, listings, frames, connections, the network."""
