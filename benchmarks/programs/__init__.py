"""Programs in processes of their own: the one of each benchmark, and those that help it."""
