"""Reading from Redis itself, by the keys that Livermore writes."""
