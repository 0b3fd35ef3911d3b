"""What the templates of the Network page are written with."""
