"""Which server a connection goes to: the one that is named, a master that moves, or many."""
