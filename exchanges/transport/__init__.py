"""The way to an exchange's hosts: names, addresses, proxies, certificates."""
