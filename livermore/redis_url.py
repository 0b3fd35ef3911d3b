"""Say what of a REDIS_URL can't work, before redis-py stumbles over it with a traceback."""

from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

from redis import ConnectionPool, RedisError
from redis.connection import parse_url

from livermore.database_url import may_be_shown

WRITE = "Write redis://host:6379/0, rediss://... or unix:///path?db=0, or unset it."
ENCODE = "Special characters of a password are written as %XX, such as %23 for # and %2F for /."
FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")


def fault_of(url: str) -> tuple[str, str] | None:
    """Return what is wrong and what to do, None where nothing is; neither repeats a password."""
    if "#" in url:
        return "REDIS_URL holds a #, and what comes after one is not read.", ENCODE
    try:
        parts = urlsplit(url)
        known = parse_url(f"{parts.scheme}://{parts.netloc}{parts.path}")
    except ValueError:
        return "REDIS_URL is not an address of a Redis server.", f"{WRITE} {ENCODE}"
    if parts.scheme == "unix":
        # What stands there without an @ is of a password with a / in it that isn't quoted.
        if "path" not in known or (parts.netloc and "@" not in parts.netloc):
            return "REDIS_URL is not an address of a Redis server.", f"{WRITE} {ENCODE}"
    elif (number := parts.path.strip("/")) and not (number.isascii() and number.isdigit()):
        text = "What REDIS_URL has after the host is not a database's number."
        return text, f"Write a number, such as redis://host:6379/0. {ENCODE}"
    options = parse_qsl(parts.query)
    faults = (_fault_of_option(parts.scheme, *each, parts.query) for each in options)
    return next(filter(None, faults), None)


def _fault_of_option(scheme: str, name: str, value: str, query: str) -> tuple[str, str] | None:
    named = f"the option {name}" if may_be_shown(name, query) else "an option"
    try:
        pool = ConnectionPool.from_url(f"{scheme}:///?{urlencode({name: value})}")
        pool.make_connection()  # which connects nothing yet
    except TypeError:
        more = " Those with ssl_ need rediss://." if name.startswith("ssl_") else ""
        text = f"REDIS_URL has {named}, which a {scheme}:// address does not have."
        return text, f"Correct its name, or take it out.{more} {ENCODE}"
    except (ValueError, RedisError):
        return f"REDIS_URL has {named} with a value that it can't have.", "Correct the value."
    if name in FILES and not Path(value).is_file():
        return f"REDIS_URL has {named}, and no file is there.", "Give the path of a file."
    return None
