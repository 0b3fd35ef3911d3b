"""Redis as all of our processes use it: clients, values that are checked, changes that are told."""
