"""Where else a pair is: in the admin, at other exchanges, below /v1/, in Redis, in a notebook."""

from dataclasses import dataclass
from urllib.parse import urlencode

import orjson
from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.urls import reverse

from exchanges.models import Symbol
from livermore.market import keys
from livermore.market.timeframe import Timeframe

CANDLES_ASKED_FOR = 100


@dataclass(frozen=True, slots=True)
class PairLinks:
    """What a pair's page leads to, and what is copied from it.

    `admin` is empty for who may not see symbols there. `elsewhere` are other exchanges that keep
    the same symbol, by name and address. `api` is an address where it is known where `serve` is,
    else the path alone.
    """

    admin: str
    elsewhere: tuple[tuple[str, str], ...]
    api: str
    key: str
    line: str

    @property
    def api_is_known(self) -> bool:
        """Tell whether `api` leads somewhere."""
        return "://" in self.api


def read_links(row: Symbol, timeframe: Timeframe, user: AbstractBaseUser) -> PairLinks:
    """Return the links of a symbol's pair, as this user may follow them."""
    may_see = user.has_perm("exchanges.view_symbol") or user.has_perm("exchanges.change_symbol")
    kept = Symbol.objects.monitored().filter(symbol=row.symbol, exchange__is_active=True)
    others = kept.exclude(exchange=row.exchange_id).select_related("exchange")
    asked = {"exchange": row.exchange.name, "symbol": row.symbol, "timeframe": timeframe}
    words = [row.exchange.name, row.symbol, str(timeframe), CANDLES_ASKED_FOR]
    return PairLinks(
        reverse("admin:exchanges_symbol_change", args=[row.pk]) if may_see else "",
        tuple(
            (
                str(other.exchange),
                reverse("network:pair", args=[other.exchange_id, other.symbol, timeframe]),
            )
            for other in others.order_by("exchange__name")
        ),
        f"{settings.LIVERMORE_SERVE_URL}/v1/candles?{urlencode(asked)}",
        keys.candles(row.exchange_id, row.symbol, timeframe),
        f"lm.candles({', '.join(orjson.dumps(word).decode() for word in words)})",
    )
