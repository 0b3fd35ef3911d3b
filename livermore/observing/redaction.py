"""Take known secrets out of what people read: the last defence, for what no code puts there."""

import html
import json
import os
import re
from collections.abc import Iterator
from functools import lru_cache
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from django.conf import settings

from alerts.variables import PREFIX as CHANNEL_PREFIX
from exchanges.validators import PROXY_VARIABLE
from exchanges.venues import VENUES

MASK = "***"
LEAST_LENGTH = 6  # what is shorter would blank half of every line
LEAST_LINE = 16  # of a secret of several lines, such as a PEM key
# One start in a run of such characters: with more of them a long path of "-eyJ" takes seconds.
TOKENS = re.compile(
    r"(?i)(?<=bearer )[\w.~+/=-]{6,}|(?<![\w-])eyJ[\w-]{8,}\.[\w-]+\.[\w-]*"
    r"|(?<![\w-])lm_[\w-]{43}(?![\w-])"  # of an API client, as it may stand in an address
)
OTHERS = ("POSTGRES_PASSWORD", "PGPASSWORD")  # libpq's own, and compose's
# No host with its port: those stand in every other line.
LONG_WORD = re.compile(r"(?![\w-]+:\d{1,5}$)(?=.*\d)[\w:%-]{12,}")
USER_INFO = re.compile(r"://[^:/?#@]*:(.*)@", re.DOTALL)


def redacted(text: str) -> str:
    """Return `text` with every secret of this process in it replaced by ***.

    Those are the variables that accounts may name, the keys and tokens of the settings, the
    passwords in addresses, those of proxies among them, and of PostgreSQL, and whatever looks like
    a signed token, or one of an API client.
    """
    if pattern := _pattern(frozenset(_secrets())):
        text = pattern.sub(MASK, text)
    return TOKENS.sub(MASK, text)


def _secrets() -> Iterator[str]:
    of_venues = [venue.key_prefix for venue in VENUES.values()]
    prefixes = tuple(filter(None, [*of_venues, *settings.LIVERMORE_KEY_ENV_PREFIXES]))
    yield from (value for name, value in os.environ.items() if name.startswith(prefixes))
    yield from (os.environ.get(name, "") for name in OTHERS)
    for name, value in os.environ.items():
        if PROXY_VARIABLE.fullmatch(name):
            yield from _passwords(value)
        elif name.startswith(CHANNEL_PREFIX):
            yield from _of_channel(value)
    yield from _of_channel(settings.LIVERMORE_DEAD_MAN_URL)
    yield settings.SECRET_KEY
    yield settings.LIVERMORE_METRICS_TOKEN
    yield str(settings.DATABASES["default"].get("PASSWORD") or "")
    yield from _passwords(settings.DATABASE_URL)
    yield from _passwords(settings.REDIS_URL)


def _of_channel(url: str) -> Iterator[str]:
    """Yield an address that is a secret as a whole, and the long words in it: tokens, mostly."""
    yield url
    yield from _passwords(url)
    yield from (word for word in re.split(r"[/?&=@,]", url) if LONG_WORD.fullmatch(word))


def _passwords(url: str) -> Iterator[str]:
    """Yield what may be a password in an address, be it one that nobody could call."""
    try:
        password = urlsplit(url).password
    except ValueError:
        password = None
    if password is None and (found := USER_INFO.search(url)):  # a / or # in it ends the host
        password = found[1]
        yield from re.split("[/?#@]", password)
    if password:
        yield password
        yield unquote(password)
    query = url.partition("?")[2]
    yield from (value for name, value in parse_qsl(query) if name.endswith("password"))


@lru_cache(maxsize=4)  # the environment hardly ever changes
def _pattern(secrets: frozenset[str]) -> re.Pattern[str] | None:
    forms = {form for secret in secrets for form in _forms(secret)}
    longest_first = sorted(forms, key=lambda form: (-len(form), form))
    return re.compile("|".join(map(re.escape, longest_first))) if forms else None


def _forms(secret: str) -> Iterator[str]:
    """Yield a secret as it may stand in a text: as it is, quoted or escaped, line by line."""
    if len(secret.strip()) < LEAST_LENGTH:
        return
    lines = [line.strip() for line in re.split(r"\s*\n|\\n", secret)]
    parts = [line for line in lines if len(line) >= LEAST_LINE and not line.startswith("-----")]
    for text in (secret, secret.strip(), *(parts if len(lines) > 1 else ())):
        yield text
        yield repr(text)[1:-1]
        yield json.dumps(text)[1:-1]
        yield quote(text, safe="")
        yield html.escape(text)
        yield html.escape(repr(text)[1:-1])
