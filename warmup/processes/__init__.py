"""Where an agent's exchanges run: in its own process, or in others that are forked for them."""
