"""First contact with an exchange: what nobody has seen of it yet, and how that is asked."""
