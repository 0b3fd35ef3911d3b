"""What comes between: others at the lock, writes of the deposed, wires that lose, bad frames."""
