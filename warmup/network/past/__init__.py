"""What became of each exchange in the last thirty days: written by agents, read on a page."""
