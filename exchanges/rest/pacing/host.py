"""Whose limits a call uses up."""

from urllib.parse import urlsplit


def host_of(url: str) -> str:
    """Return the host whose limits calls to `url` use up, without the port its scheme implies."""
    address = urlsplit(url)
    usual = {"https": 443, "http": 80}.get(address.scheme)
    host = address.hostname or ""
    return host if address.port in (None, usual) else f"{host}:{address.port}"
