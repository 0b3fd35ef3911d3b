"""What is watched meanwhile: what coverage claims, and what Redis was told to do."""
