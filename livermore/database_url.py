"""Refuse a DATABASE_URL that can't work, before Django stumbles over it with a traceback."""

import re
from urllib.parse import parse_qsl, urlsplit

from django.core.exceptions import ImproperlyConfigured

SCHEMES = ("postgres", "postgresql", "psql", "pgsql", "sqlite")
OPTION = re.compile(r"[A-Za-z_]{1,40}")
# What Django takes of any database (upper or lower case), and of PostgreSQL beside libpq's own.
OF_DJANGO = {
    "conn_max_age",
    "conn_health_checks",
    "atomic_requests",
    "autocommit",
    "disable_server_side_cursors",
}
OF_POSTGRES = {
    "assume_role",
    "isolation_level",
    "prepare_threshold",
    "server_side_binding",
}
NUMBERS = {"conn_max_age", "connect_timeout", "prepare_threshold"}


def checked(url: str) -> str:
    """Return `url` unchanged. Raises ImproperlyConfigured, with a text that repeats no password."""
    if "#" in url:
        raise ImproperlyConfigured(
            "DATABASE_URL holds a #, and what comes after one is not read: write it as %23"
        )
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
        raise ImproperlyConfigured(
            "DATABASE_URL names no database: write postgres://host/name, with special characters "
            "of the password as %XX"
        )
    _check_options(parts.scheme, parts.query)
    return url


def may_be_shown(option: str, query: str) -> bool:
    """Tell whether an option's name is none, or part of a password with a ? in it."""
    return OPTION.fullmatch(option) is not None and "@" not in query


def _check_options(scheme: str, query: str) -> None:
    options = parse_qsl(query)
    if not options:
        return
    known = OF_DJANGO if scheme == "sqlite" else OF_DJANGO | OF_POSTGRES | _of_libpq()
    for name, value in options:
        named = f"the option {name}" if may_be_shown(name, query) else "an option"
        base = name.lower() if name.lower() in OF_DJANGO else name
        if base not in known:
            what = "SQLite" if scheme == "sqlite" else "PostgreSQL"
            raise ImproperlyConfigured(
                f"DATABASE_URL has {named}, which {what} does not have: correct its name, or take "
                "it out"
            )
        if base in NUMBERS and not re.fullmatch(r"-?\d{1,9}|None", value, re.ASCII):
            raise ImproperlyConfigured(f"DATABASE_URL has {named} with a value that is no number")


def _of_libpq() -> set[str]:
    from psycopg import pq  # slow to load, and only who has a PostgreSQL needs it

    return {each.keyword.decode() for each in pq.Conninfo.get_defaults()}
