"""The steps of a check: each tries one thing of an exchange and says what it found."""
