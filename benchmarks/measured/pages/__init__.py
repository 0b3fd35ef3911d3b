"""The web side's pages, with real browsers or what is like them."""
