"""What the Network page shows and does; its addresses and its socket are one folder up."""
