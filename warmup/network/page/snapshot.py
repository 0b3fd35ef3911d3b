"""What the Network page shows, read once for a page as it is first painted."""

import logging
import time
from collections.abc import Callable, Collection
from typing import Any, TypeVar

from django.contrib.auth.models import AbstractBaseUser
from redis import Redis
from redis.exceptions import ConnectionError, RedisError, TimeoutError

from exchanges.models import UserExchange
from exchanges.redis.client import is_cluster, own_client
from warmup.network.page import cards
from warmup.network.page.cells import Grid
from warmup.network.page.exchange_view import ExchangeRow, ExchangeView, read_exchange, read_rows
from warmup.network.page.pair_view import PairView, read_pair
from warmup.network.page.prices import read_prices
from warmup.network.permission import may_operate
from warmup.network.readers import read_readers
from warmup.network.socket.card_feed import note_fault
from warmup.runner.agents import read_agents

__all__ = [
    "ExchangeView",
    "PairView",
    "read_accounts",
    "read_exchange",
    "read_network",
    "read_pair",
]

logger = logging.getLogger(__name__)

TIMEOUT_SECONDS = 2.0

Found = TypeVar("Found")


def read_accounts(user: AbstractBaseUser) -> list[dict[str, Any]]:
    """Return a user's own accounts, and which of the variables they name are set."""
    return read_accounts_of([user.pk])[user.pk]


def read_accounts_of(user_ids: Collection[int]) -> dict[int, list[dict[str, Any]]]:
    """Return the same of many users, by their ids."""
    found: dict[int, list[dict[str, Any]]] = {user_id: [] for user_id in user_ids}
    accounts = UserExchange.objects.filter(user__in=user_ids).select_related("exchange")
    for account in accounts:
        found[account.user_id].append(
            {
                "id": account.pk,
                "displayName": account.display_name,
                "exchangeId": account.exchange_id,
                "exchange": str(account.exchange),
                "isActive": account.is_active,
                "isDefault": account.is_default,
                "environment": account.environment(),
            }
        )
    return found


def read_network(redis: Redis, user: AbstractBaseUser | None) -> dict[str, Any]:
    """Return the message `snapshot` of `warmup.network.socket.consumer`.

    Where Redis does not answer the cards say so, and `agents` and `readers` are None: nobody knows.
    """
    now_ms = int(time.time() * 1000)
    with own_client(redis, TIMEOUT_SECONDS) as client:
        asked = RedisReader(client)
        agents = asked.read("agents", read_agents)
        shown = [_shown(asked, row, bool(agents), now_ms) for row in read_rows()]
        readers = asked.read("readers", read_readers)
    return {
        "type": "snapshot",
        "serverTime": now_ms,
        "feed": "",
        "mayOperate": user is not None and may_operate(user),
        "cards": cards.by_need(shown),
        "agents": None if agents is None else [agent.as_json() for agent in agents],
        "readers": readers,
        "accounts": [] if user is None else read_accounts(user),
    }


class RedisReader:
    """A Redis that is asked no more once it was silent: a page can't wait for each exchange."""

    def __init__(self, redis: Redis):
        self._redis = redis
        self._silent = False

    def read(self, what: str, reader: Callable[..., Found], *arguments: Any) -> Found | None:
        """Return what `reader` finds in Redis, None where that does not tell."""
        if self._silent:
            return None
        try:
            return reader(self._redis, *arguments)
        except RedisError as error:
            logger.warning("snapshot.redis_failed what=%s error=%s", what, error)
            gone = isinstance(error, ConnectionError) and not is_cluster(self._redis)
            self._silent = gone or isinstance(error, TimeoutError)
            return None


def _shown(asked: RedisReader, row: ExchangeRow, agent_alive: bool, now_ms: int) -> dict[str, Any]:
    """Return a card; what no reader expects costs one exchange's alone."""
    try:
        return _card(asked, row, agent_alive, now_ms)
    except Exception as error:
        note_fault(row, error)
        return cards.faulty(row, now_ms) | {"prices": {}, "version": 0}


def _card(asked: RedisReader, row: ExchangeRow, agent_alive: bool, now_ms: int) -> dict[str, Any]:
    name, grid = row.exchange.name, None
    view = asked.read(name, read_exchange, row.exchange, now_ms)
    if view:
        reader = Grid(row.exchange.pk, row.exchange.depth_rows).read
        pairs = (row.symbols, view.time_ms(now_ms), view.work(), row.idle)
        grid = asked.read(name, reader, *pairs)
    prices = asked.read(name, read_prices, row.exchange.pk, row.symbols) if grid else None
    card = cards.present(row, view, grid or cards.NO_GRID, agent_alive, now_ms)
    return card | {"prices": prices or {}, "version": 0}
