"""How much anybody may send to the web server, or leave unread, and how often."""
