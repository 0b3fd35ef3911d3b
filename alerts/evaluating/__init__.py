"""Deciding what is told: what is seen against rules, in one transaction, by one process."""
