"""Who runs an exchange and how: agents, a runner's life, its commands, changes while it is live."""
