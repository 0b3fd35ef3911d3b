"""The experiments, a module each: what is promised, and where it would break."""
