"""What the Signals page comes with, so that all of it is there when it is first painted."""

import time
from typing import Any

from redis import Redis

from exchanges.redis.client import own_client
from livermore.market.timeframe import SHORTEST_FIRST
from warmup.network.page import cards
from warmup.network.page.cells import Grid
from warmup.network.page.exchange_view import ExchangeRow, read_exchange, read_rows
from warmup.network.page.snapshot import TIMEOUT_SECONDS, RedisReader
from warmup.network.signals.feed import ABOUT
from warmup.network.signals.reader import UNKNOWN, SignalReader, Signals, read_prices
from warmup.network.socket.card_feed import note_fault
from warmup.runner.agents import read_agents


def read_signals(redis: Redis) -> dict[str, Any]:
    """Return `serverTime` and `exchanges`: of each what its first message on the socket tells.

    Where Redis does not answer nothing is known, and `away` says so.
    """
    now_ms = int(time.time() * 1000)
    with own_client(redis, TIMEOUT_SECONDS) as client:
        asked = RedisReader(client)
        agents = asked.read("agents", read_agents)
        found = [_shown(asked, row, bool(agents), now_ms) for row in read_rows()]
    return {"serverTime": now_ms, "exchanges": found}


def _shown(asked: RedisReader, row: ExchangeRow, agent_alive: bool, now_ms: int) -> dict[str, Any]:
    """Return an exchange; what no reader expects costs that one's alone."""
    try:
        return _exchange(asked, row, agent_alive, now_ms)
    except Exception as error:
        note_fault(row, error)
        return _told(row, cards.faulty(row, now_ms), _nothing(row), away=True)


def _exchange(
    asked: RedisReader, row: ExchangeRow, agent_alive: bool, now_ms: int
) -> dict[str, Any]:
    name, number, symbols = row.exchange.name, row.exchange.pk, row.symbols
    view = asked.read(name, read_exchange, row.exchange, now_ms)
    card = cards.present(row, view, cards.NO_GRID, agent_alive, now_ms)
    if view is None:
        return _told(row, card, _nothing(row), away=True)
    time_ms, reader = view.time_ms(now_ms), Grid(number, row.exchange.depth_rows)
    grid = asked.read(name, reader.read, symbols, time_ms, view.work(), row.idle)
    about = (symbols, grid, reader.newest, time_ms)
    cells = asked.read(name, SignalReader(number).read, *about)
    prices = asked.read(name, read_prices, number, symbols)
    signals = _nothing(row) if cells is None else Signals(symbols, cells, prices or {})
    return _told(row, card, signals, away=cells is None)


def _told(row: ExchangeRow, card: cards.Card, signals: Signals, *, away: bool) -> dict[str, Any]:
    about = {each: card[each] for each in ABOUT} | {"away": away}
    return {"exchangeId": row.exchange.pk, "version": 0, **about, **signals.as_json()}


def _nothing(row: ExchangeRow) -> Signals:
    return Signals(row.symbols, ((UNKNOWN,) * len(SHORTEST_FIRST),) * len(row.symbols))
