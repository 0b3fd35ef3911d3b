"""An exchange that moves to another holder, without a moment in which nobody streams it."""
