"""What is promised of a Redis that moves, spreads, or is cut off."""
