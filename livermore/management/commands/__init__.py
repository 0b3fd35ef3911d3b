"""The commands behind `./run` itself: everything at once, and the web server."""
