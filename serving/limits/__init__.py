"""How much an API client may ask, counted over all processes that serve."""
