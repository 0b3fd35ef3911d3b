"""What is kept in memory of a pair: its rows as Redis has them, and as protocols write them."""
