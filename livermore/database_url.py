"""Refuse a DATABASE_URL that can't work, before Django stumbles over it with a traceback."""

from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

SCHEMES = ("postgres", "postgresql", "psql", "pgsql", "sqlite")


def checked(url: str) -> str:
    """Return `url` unchanged. Raises ImproperlyConfigured, with a text that repeats no password."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ImproperlyConfigured(
            "DATABASE_URL is not an address: write postgres://user:password@host:port/name, with "
            "special characters of the password as %XX"
        ) from None
    if parts.scheme not in SCHEMES:
        raise ImproperlyConfigured(
            f"DATABASE_URL begins with {parts.scheme or 'no scheme'}: use postgres:// or sqlite:///"
        )
    if not parts.path.strip("/") or port == 0:
        raise ImproperlyConfigured("DATABASE_URL names no database: write postgres://host/name")
    return url
