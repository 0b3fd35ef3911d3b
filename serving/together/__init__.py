"""Several processes that serve: begun and ended, and what they share through Redis."""
