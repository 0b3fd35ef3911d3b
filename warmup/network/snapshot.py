"""What the Network page shows, read once for a page as it is first painted."""

import logging
import time
from collections.abc import Collection
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from redis import Redis
from redis.exceptions import RedisError

from exchanges.models import UserExchange
from warmup.agents import read_agents
from warmup.network import cards
from warmup.network.cells import Grid
from warmup.network.exchange_view import ExchangeRow, ExchangeView, read_exchange, read_rows
from warmup.network.pair_view import PairView, read_pair
from warmup.network.visitors import may_operate

__all__ = [
    "ExchangeView",
    "PairView",
    "read_accounts",
    "read_exchange",
    "read_network",
    "read_pair",
]

logger = logging.getLogger(__name__)


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
    """Return the message `snapshot` of `warmup.consumers`.

    Where Redis does not answer the cards say so.
    """
    now_ms = int(time.time() * 1000)
    try:
        agents = [agent.as_json() for agent in read_agents(redis)]
    except RedisError as error:
        logger.warning("snapshot.redis_failed error=%s", error)
        agents = []
    return {
        "type": "snapshot",
        "serverTime": now_ms,
        "feed": "",
        "mayOperate": user is not None and may_operate(user),
        "cards": [_card(redis, row, bool(agents), now_ms) for row in read_rows()],
        "agents": agents,
        "accounts": [] if user is None else read_accounts(user),
    }


def _card(redis: Redis, row: ExchangeRow, agent_alive: bool, now_ms: int) -> dict[str, Any]:
    view, grid = None, cards.NO_GRID
    try:
        view = read_exchange(redis, row.exchange, now_ms)
        grid = Grid(row.exchange.pk).read(redis, row.symbols, view.time_ms(now_ms), view.work())
    except RedisError as error:
        logger.warning("snapshot.redis_failed exchange=%s error=%s", row.exchange.name, error)
    return cards.present(row, view, grid, agent_alive, now_ms) | {"version": 0}
