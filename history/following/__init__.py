"""History that is continued: what closes is appended, what changes is written again."""
