"""The network that some people have between themselves and an exchange."""
