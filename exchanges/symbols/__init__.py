"""What an exchange lists: its symbols as it tells them, which are monitored, their volumes."""
