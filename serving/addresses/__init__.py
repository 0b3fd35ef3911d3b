"""What is answered at which address, and what stays open there."""
