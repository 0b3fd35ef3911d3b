"""The dialog in which people choose symbols: what it lists, and what can be taken back."""

import time
from collections.abc import Mapping
from typing import Any

from django.core import signing
from redis import Redis

from exchanges.models import Exchange, Symbol
from exchanges.symbols.listed import KINDS
from exchanges.symbols.monitoring import Change
from exchanges.symbols.spelling import spelled
from exchanges.symbols.volumes import MOST_CHOSEN, Volumes, quotes_of
from warmup.network.actions.volumes import NOT_YET, volumes_within

ROWS_SHOWN = 100
SHOWN = {"": "all", "monitored": "monitored", "others": "not monitored"}
USUAL_COUNT = 25
UNKNOWN = "–"
SIZES = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k"))
SALT = "network.symbols"
UNDO_SECONDS = 3600


def read_listing(
    redis: Redis, exchange: Exchange, asked: Mapping[str, str], seconds: float = 0
) -> dict[str, Any]:
    """Return the context of `network/dialogs/symbols.html`.

    `asked` holds `q` (a part of a name), `quote`, `kind`, `show` and `page` as they were typed. The
    exchange is given `seconds` to tell volumes that aren't known.
    """
    volumes, trouble = volumes_within(redis, exchange, seconds)
    quotes = quotes_of(exchange)
    query = _query(asked, quotes)
    rows = list(exchange.symbols.listed() | exchange.symbols.monitored())
    found = _sorted([row for row in rows if _fits(row, query)], query["q"], volumes)
    pages = max(1, -(-len(found) // ROWS_SHOWN))
    page = min(_number(asked.get("page", ""), 1), pages)
    shown = found[(page - 1) * ROWS_SHOWN : page * ROWS_SHOWN]
    return {
        "exchange": exchange,
        **query,
        "total": len(rows),
        "trading": sum(row.status == Symbol.Status.TRADING for row in rows),
        "monitored": sum(row.is_monitored for row in rows),
        "quotes": quotes,
        "kinds": sorted({row.kind for row in rows}),
        "shows": SHOWN.items(),
        "usual_count": USUAL_COUNT,
        "most_count": MOST_CHOSEN,
        "matches": len(found),
        "first": (page - 1) * ROWS_SHOWN + 1 if found else 0,
        "last": (page - 1) * ROWS_SHOWN + len(shown),
        "previous": page - 1,
        "next": page + 1 if page < pages else 0,
        "rows": [(row, volume_text(volumes.by_symbol.get(row.symbol))) for row in shown],
        "volumes_at": volumes.at_ms,
        "volumes_trouble": trouble if trouble != NOT_YET or seconds else "",
        "volumes_wanted": not volumes.is_fresh and not seconds,
        "server_time": int(time.time() * 1000),
    }


def volume_text(volume: float | None) -> str:
    """Return a volume with three digits, as 1.23 M; a dash where it isn't known."""
    if volume is None:
        return UNKNOWN
    for size, letter in SIZES:
        if volume >= size * 0.9995:
            return f"{_three_digits(volume / size)} {letter}"
    return _three_digits(volume)


def undo_token(exchange: Exchange, change: Change) -> str:
    """Return what `change_of` reads; "" for a change of nothing."""
    if not change.symbols:
        return ""
    stored = {"exchange": exchange.pk, "change": change.as_json()}
    return signing.dumps(stored, salt=SALT, compress=True)


def change_of(exchange: Exchange, token: str) -> Change:
    """Return the change of this exchange that a token of ours names. Raises ValueError."""
    try:
        stored = signing.loads(token, salt=SALT, max_age=UNDO_SECONDS)
    except signing.SignatureExpired as error:
        raise ValueError("it is an hour ago: add or remove the symbols by their names") from error
    except signing.BadSignature as error:
        raise ValueError("what is to be undone can't be read: reload the page") from error
    if stored["exchange"] != exchange.pk:
        raise ValueError("that was another exchange")
    return Change.from_json(stored["change"])


def _query(asked: Mapping[str, str], quotes: list[str]) -> dict[str, str]:
    show, kind = asked.get("show", ""), asked.get("kind", "")
    [quote] = spelled([asked.get("quote", "").strip()[:50]], quotes)
    return {
        "q": asked.get("q", "").strip().upper()[:100],
        "quote": quote,
        "kind": kind if kind in KINDS else "",
        "show": show if show in SHOWN else "",
    }


def _fits(row: Symbol, query: Mapping[str, str]) -> bool:
    if query["quote"] and row.quote != query["quote"]:
        return False
    if query["kind"] and row.kind != query["kind"]:
        return False
    if query["show"] and row.is_monitored != (query["show"] == "monitored"):
        return False
    return query["q"] in row.symbol.upper()


def _sorted(rows: list[Symbol], typed: str, volumes: Volumes) -> list[Symbol]:
    """Return rows with those first that begin with what was typed, then the most traded."""

    def rank(row: Symbol) -> tuple[bool, float, str]:
        volume = volumes.by_symbol.get(row.symbol, -1.0)
        return not row.symbol.upper().startswith(typed), -volume, row.symbol

    return sorted(rows, key=rank)


def _number(text: str, least: int) -> int:
    return max(least, int(text)) if text.isascii() and text.isdigit() and len(text) < 8 else least


def _three_digits(number: float) -> str:
    if number >= 99.95 or number == 0:
        return f"{number:.0f}"
    return f"{number:.1f}" if number >= 9.995 else f"{number:.2f}"
