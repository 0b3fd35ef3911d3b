"""Commands on history: filling it, reading it, comparing it with exchanges."""
