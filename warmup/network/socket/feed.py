"""What changes, sent to every browser of this web process: read once and encoded once for all.

It lives while somebody has the page open. What Redis publishes may get lost, so it polls too:
every two seconds, what could have ended without a message.
"""

import asyncio
import gc
import logging
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

import orjson
from channels.db import database_sync_to_async
from channels.layers import get_channel_layer
from django.conf import settings
from django.db import Error as DatabaseError
from django_redis import get_redis_connection
from redis import Redis
from redis.exceptions import RedisError

from exchanges.models import Exchange
from exchanges.redis.change_notifications import parse_change
from exchanges.redis.client import own_client
from livermore.market import keys
from warmup.network.page.exchange_view import ExchangeRow, read_numbers, read_rows
from warmup.network.page.snapshot import read_accounts_of
from warmup.network.readers import read_readers
from warmup.network.signals.feed import OpenSignals, SignalFeed
from warmup.network.socket.card_feed import CardFeed
from warmup.network.socket.others import Others
from warmup.network.socket.pair_feed import OpenPair, OpenPairs, PairFeed, name_of
from warmup.network.socket.sockets import Message, PageSocket, Sockets
from warmup.network.socket.subscriber import Subscriber
from warmup.network.socket.throttle import Throttle
from warmup.runner.agents import read_agents

logger = logging.getLogger(__name__)

READ_SECONDS = 2.0
READERS = 2
POLL_SECONDS = 2.0
POLLS_BETWEEN_ROWS = 5
CONFIRM_SECONDS = 15.0
SECONDS_BETWEEN_ROWS = SECONDS_BETWEEN_ACCOUNTS = 0.25


class Feed:
    """One web process's knowledge of all exchanges, sent to groups of the channel layer.

    The groups are named after it, so that the versions of two processes never mix: `everybody`,
    one for each exchange, one for each user, one for each pair that is open.
    """

    def __init__(self, redis: Redis, url: str, layer: Any):
        self.id = uuid.uuid4().hex[:12]
        self.everybody = f"network.{self.id}"
        self._sockets = Sockets(layer)
        self._redis = own_client(redis, READ_SECONDS)
        self._threads = ThreadPoolExecutor(READERS, "network-read")
        self._cards: dict[int, CardFeed] = {}
        self._agents: list[dict[str, Any]] = []
        self._readers: list[dict[str, Any]] = []
        self._accounts: dict[int, list] = {}
        self._subscriber = Subscriber(url, self._received, self._read_all)
        self._pairs = OpenPairs(self._subscriber, self._make_pair)
        self._signals = OpenSignals(self._make_signals, self._cards)
        self._rows_throttle = Throttle(SECONDS_BETWEEN_ROWS, self._read_rows)
        self._accounts_throttle = Throttle(SECONDS_BETWEEN_ACCOUNTS, self._send_accounts)
        self._database_throttle = Throttle(0, self._ask_database)
        self._others = Others(self._send_other)
        self._others_throttle = Throttle(0, self._others.read)
        self._database_away = False
        self._tasks: list[asyncio.Task] = []
        self._beginning: asyncio.Task | None = None

    # -- Who has the page open, and what there is for them

    async def join(self, socket: PageSocket) -> None:
        """Count somebody in; what there is to see has been read when it returns."""
        self._sockets.open.add(socket)
        if self._beginning is None:
            self._beginning = asyncio.ensure_future(self._begin())
        try:
            await asyncio.shield(self._beginning)
        except Exception:
            self._beginning = None  # the next one tries again
            raise

    def leave(self, socket: PageSocket) -> None:
        """Count somebody out; with the last one it ends."""
        self._sockets.open.discard(socket)
        if not self._sockets.open:
            _forget(self)
            for task in filter(None, (*self._tasks, self._beginning)):
                task.cancel()
            for card in self._cards.values():
                card.stop()
            self._pairs.stop()
            for throttle in (
                *(self._rows_throttle, self._accounts_throttle),
                *(self._database_throttle, self._others_throttle),
            ):
                throttle.stop()
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._redis.close()

    def snapshot(self, may_operate: bool, accounts: list[dict[str, Any]]) -> Message:
        """Return the message `snapshot` of `warmup.network.socket.consumer`."""
        return {
            "type": "snapshot",
            "serverTime": int(time.time() * 1000),
            "feed": self.id,
            "mayOperate": may_operate,
            "cards": [card.card for card in self._cards.values()],
            "agents": self._agents,
            "readers": self._readers,
            "accounts": accounts,
            "databaseAway": self._database_away,
            **self._others.told,
        }

    def versions(self) -> dict[int, int]:
        """Return which version of each exchange's card was sent last."""
        return {number: card.version for number, card in self._cards.items()}

    def group(self, exchange_id: int) -> str:
        """Name the group of those who view an exchange."""
        return f"{self.everybody}.{exchange_id}"

    def user_group(self, user_id: int) -> str:
        """Name the group of one user's sockets."""
        return f"{self.everybody}.user.{user_id}"

    def pair_group(self, pair: OpenPair) -> str:
        """Name the group of those who have a pair open."""
        return f"{self.everybody}.pair.{name_of(pair)}"

    async def open_pair(self, pair: OpenPair) -> PairFeed:
        """Return the feed of a pair, until `close_pair`. LookupError where nothing is kept."""
        card = self._cards.get(pair[0])
        if card is None:
            raise LookupError("there is no such exchange")
        if pair[1] not in card.row.symbols:
            raise LookupError(f"{pair[1]} is not kept warm on {card.row.exchange.name}")
        return await self._pairs.open(pair)

    async def close_pair(self, pair: OpenPair) -> None:
        """Learn that one who had opened a pair has closed it."""
        await self._pairs.close(pair)

    @property
    def signals_group(self) -> str:
        """Name the group of those who have the Signals page open."""
        return f"{self.everybody}.signals"

    async def open_signals(self) -> None:
        """Keep the signals of all exchanges current, until `close_signals`."""
        await self._signals.open()

    def close_signals(self) -> None:
        """Learn that one who had opened them has closed them."""
        self._signals.close()

    def signals(self) -> list[Message]:
        """Return the messages with all signals, for who just opened them."""
        return self._signals.whole()

    # -- When it reads

    async def _begin(self) -> None:
        await self._subscribe()
        self._accept(await database_sync_to_async(read_rows)())
        await self._read_agents()
        await self._read_readers()
        await self._others.read()
        await asyncio.gather(*(card.refresh() for card in self._cards.values()))
        _settle_memory()
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._subscriber.run()), loop.create_task(self._poll())]

    async def _poll(self) -> None:
        polls = 0
        while True:
            await asyncio.sleep(POLL_SECONDS)
            try:
                await self._read_agents()
                await self._read_readers()
                await asyncio.gather(*(card.poll() for card in self._cards.values()))
                await self._confirm()
                await self._signals.poll()
            except Exception:  # it must go on: the next one may succeed
                logger.exception("feed.poll_failed")
            self._pairs.poll()
            self._database_throttle.trigger()
            self._others_throttle.trigger()
            polls += 1
            if polls % POLLS_BETWEEN_ROWS == 0:
                self._trigger_rows()

    def _read_all(self, again: bool) -> None:
        """Read all, as changes are received from now on: those before that were missed."""
        if again:
            self._sockets.doubt()
        self._trigger_rows()
        self._pairs.poll()
        for card in self._cards.values():
            card.trigger("schedule")

    def _trigger_rows(self) -> None:
        self._rows_throttle.trigger()
        self._accounts_throttle.trigger()

    def _received(self, channel: str, data: bytes) -> None:
        change = parse_change(data) if channel.endswith(":changed") else None
        if change is None:
            self._pairs.received(channel)
            return
        number, what = change
        if what == "accounts":
            self._accounts_throttle.trigger()
        if what in ("row", "action", "accounts") or number not in self._cards:
            self._rows_throttle.trigger()
        if number in self._cards:
            self._cards[number].trigger(what)

    async def _confirm(self) -> None:
        for card in list(self._cards.values()):
            is_due = time.monotonic() - card.sent_at > CONFIRM_SECONDS
            if is_due or self._sockets.is_doubtful:
                await card.confirm()

    # -- What it reads

    async def _read_rows(self) -> None:
        try:
            await self._subscribe()
            rows = await database_sync_to_async(read_rows)()
        except DatabaseError as error:
            logger.warning("feed.rows_not_read error=%s", error)
            await self._note_database(away=True)
            return
        await self._note_database(away=False)
        for card in self._accept(rows):
            await card.refresh()
            await self._send(self.everybody, card.whole())
        for number in self._cards.keys() - {row.exchange.pk for row in rows}:
            self._cards.pop(number).stop()
            await self._send(self.everybody, _plain("gone", number, exchangeId=number))

    async def _subscribe(self) -> None:
        """Subscribe to changes of exchanges that are new, before they are read."""
        numbers = await database_sync_to_async(read_numbers)()
        await self._subscriber.add(*map(keys.exchange_changed, numbers))

    async def _ask_database(self) -> None:
        try:
            await database_sync_to_async(Exchange.objects.exists)()
        except DatabaseError:
            await self._note_database(away=True)
        else:
            await self._note_database(away=False)

    async def _note_database(self, *, away: bool) -> None:
        """Tell everybody whether the database can be asked, where that is news."""
        before, self._database_away = self._database_away, away
        if away == before:
            return
        if away:
            logger.warning("feed.database_away")
        await self._send(self.everybody, _plain("database", away=away))
        if not away:
            self._trigger_rows()

    def _accept(self, rows: list[ExchangeRow]) -> list[CardFeed]:
        """Take rows in; return the cards that are new, not read yet."""
        new = []
        for row in rows:
            if card := self._cards.get(row.exchange.pk):
                card.row = row
                card.trigger()
            else:
                new.append(self._make_card(row))
        return new

    def _make_card(self, row: ExchangeRow) -> CardFeed:
        number = row.exchange.pk

        async def send(message: Message) -> None:
            await self._send(self.group(number), message)

        viewers = self._sockets.open
        card = CardFeed(self._redis, row, self._in_thread, send, lambda: len(viewers))
        self._cards[number] = card
        card.agent_alive = bool(self._agents)
        return card

    def _make_signals(self, card: CardFeed) -> SignalFeed:
        async def send(message: Message) -> None:
            await self._send(self.signals_group, message)

        return SignalFeed(self._redis, card, self._in_thread, send)

    def _make_pair(self, pair: OpenPair) -> PairFeed:
        async def send(message: Message) -> None:
            await self._send(self.pair_group(pair), message)

        card = self._cards[pair[0]]
        return PairFeed(
            *(self._redis, pair, card.time_ms, self._in_thread, send),
            lambda: pair[1] in card.row.idle,
        )

    async def _read_agents(self) -> None:
        try:
            found = await self._in_thread(read_agents, self._redis)
        except RedisError:
            return  # the cards say so
        before, self._agents = self._agents, [agent.as_json() for agent in found]
        for card in self._cards.values():
            card.agent_alive = bool(self._agents)
        if _identities(self._agents) != _identities(before):
            await self._send(self.everybody, _plain("agents", agents=self._agents))

    async def _read_readers(self) -> None:
        try:
            found = await self._in_thread(read_readers, self._redis)
        except RedisError:
            return
        if found != self._readers:
            self._readers = found
            await self._send(self.everybody, _plain("readers", readers=found))

    async def _send_accounts(self) -> None:
        try:
            found = await database_sync_to_async(read_accounts_of)(self._sockets.user_ids())
        except DatabaseError as error:
            logger.warning("feed.accounts_not_read error=%s", error)
            return
        for user_id, accounts in found.items():
            if self._accounts.get(user_id) != accounts:
                self._accounts[user_id] = accounts
                await self._send(self.user_group(user_id), _plain("accounts", accounts=accounts))

    async def _send_other(self, kind: str, content: Mapping[str, Any]) -> None:
        await self._send(self.everybody, _plain(kind, None, **{kind: content}))

    async def _send(self, group: str, message: Message) -> None:
        await self._sockets.send(group, message)

    async def _in_thread(self, function: Callable, *arguments: Any) -> Any:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, function, *arguments)


@cache
def _settle_memory() -> None:
    """Leave what is there by now out of later collections, once.

    A full one over all of Django takes 150 ms, in which no browser is told anything.
    """
    gc.collect()
    gc.freeze()


_feeds: WeakKeyDictionary[asyncio.AbstractEventLoop, Feed] = WeakKeyDictionary()


def current_feed() -> Feed:
    """Return the feed of this event loop, a new one where nobody has looked."""
    loop = asyncio.get_running_loop()
    if loop not in _feeds:
        redis = get_redis_connection("default")
        _feeds[loop] = Feed(redis, settings.REDIS_URL, get_channel_layer())
    return _feeds[loop]


def _forget(feed: Feed) -> None:
    for loop, each in list(_feeds.items()):
        if each is feed:
            del _feeds[loop]


def _plain(kind: str, number: int | None = None, **content: Any) -> Message:
    text = orjson.dumps({"type": kind, **content}).decode()
    return {"kind": kind, "exchange": number, "text": text}


def _identities(agents: list[dict[str, Any]]) -> list[tuple]:
    return [
        (agent["agentId"], agent["running"], [each["pid"] for each in agent["processes"]])
        for agent in agents
    ]
