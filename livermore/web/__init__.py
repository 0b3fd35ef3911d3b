"""The web server's outer edge: who is let in, from which page, what is said where nothing works."""
