"""Reading from `serve` over HTTP, with the standard library alone."""
