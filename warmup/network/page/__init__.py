"""What the page shows, read from the database and Redis and put into words."""
