"""What is known of each pair of a stream: its bars, what was skipped of it, whether it is set aside."""
