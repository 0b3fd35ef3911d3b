"""What Redis lost of its last seconds: noticed, written again from memory, and told again."""
