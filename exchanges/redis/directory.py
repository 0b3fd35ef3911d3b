"""Which exchanges there are, told to who reads Redis: they know names, and keys have numbers."""

import logging
from typing import Any

import orjson
from django.apps import apps
from django.db import Error as DatabaseError
from redis import Redis
from redis.exceptions import RedisError

from exchanges.venues import VENUES
from livermore.market import keys
from livermore.market.candle import LATEST_MS

logger = logging.getLogger(__name__)


def publish_exchanges(redis: Redis) -> None:
    """Have Redis say what the database says; what it says already isn't written again.

    Raises django.db.Error, RedisError.
    """
    wanted = _rows()
    stored: Any = redis.hgetall(keys.exchanges())
    news = {name: text for name, text in wanted.items() if stored.get(name) != text}
    gone = [name for name in stored if name not in wanted]
    if news:
        redis.hset(keys.exchanges(), mapping=news)  # type: ignore[arg-type]
    if gone:
        redis.hdel(keys.exchanges(), *gone)


def keep_published(redis: Redis) -> None:
    """Do that where it can be done now; agents do it again within a minute."""
    try:
        publish_exchanges(redis)
    except (DatabaseError, RedisError) as error:
        logger.warning("exchanges.not_published error=%s", error)


def _rows() -> dict[bytes, bytes]:
    # Commands import this before there are models, and some of them have no Django at all.
    exchange_rows, symbol_rows = (
        apps.get_model("exchanges", name) for name in ("Exchange", "Symbol")
    )
    symbols: dict[int, list[str]] = {}
    kinds: dict[int, list[str]] = {}
    listed = symbol_rows.objects.listed().order_by("kind")
    for number, kind in listed.values_list("exchange_id", "kind").distinct():
        kinds.setdefault(number, []).append(kind)
    monitored = symbol_rows.objects.listed().monitored().order_by("symbol")
    for number, symbol in monitored.values_list("exchange_id", "symbol"):
        symbols.setdefault(number, []).append(symbol)
    return {
        row.name.encode(): orjson.dumps(
            {
                "id": row.pk,
                "displayName": row.display_name,
                "venue": row.venue,
                "lagMs": VENUES[row.venue].lag_ms if row.venue in VENUES else LATEST_MS,
                "symbols": symbols.get(row.pk, []),
                "kinds": kinds.get(row.pk, []),
                "depthRows": row.depth_rows,
            }
        )
        for row in exchange_rows.objects.all()
    }
