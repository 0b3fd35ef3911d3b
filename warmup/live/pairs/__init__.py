"""What is known of each pair of a stream: its bars, what of it was skipped, and is set aside."""
