"""The Network page's socket, /ws/network/: JSON objects, one a message.

It sends
- `{"type": "snapshot", "serverTime", "feed", "mayOperate", "cards", "agents", "readers",
  "accounts", "databaseAway", "alerts"}`: all there is. First, after a `refresh`, and when what
  this user may do has changed.
- `{"type": "card", "exchangeId", "since", "version", "serverTime", "changes"}`: the fields of a
  card that changed from version `since` to `version`; `changes.cells` are `[symbol's index,
  timeframe's index, letter]` instead of a whole grid, `changes.priceChanges` single prices,
  `{symbol: [price, change in percent] or null}`, instead of all `prices`. Who has another version
  than `since` sends `refresh`. Where both are the same nothing changed: it confirms the version,
  every 15 seconds at the least. `since` 0 tells the whole card, of an exchange that is new here.
- `{"type": "gone", "exchangeId"}`: an exchange that is active no more.
- `{"type": "agents", "agents"}`, `{"type": "accounts", "accounts"}`: all of them, those accounts
  that are the user's own.
- `{"type": "readers", "readers"}`: who reads candles, all of them.
- `{"type": "database", "away"}`: whether the database can be asked, when that has changed.
- `{"type": "alerts", "alerts"}`: how many are open, `{"open", "why"}`: None, and why, where nobody
  knows. It comes, and is in the snapshot, as the room that knows them wants it (`others.py`).
- `{"type": "pair", "exchangeId", "symbol", "timeframe", "serverTime", "candles", "live",
  "indicator", "missing", "macdv"}`: of the pair that this socket has open, once a second at the
  most. First its newest 300 closed candles and MACD-V, then those that are new or changed.
- `{"type": "signals", "exchangeId", "since", "version", "serverTime", "changes"}`: to who has
  opened them, of each exchange, every two seconds at the most, where there are more than four in
  turn: `name`, `displayName`, `state`, `stateText`, `away`, `symbols`, `cells`, `prices`, or of the
  latter `cellChanges` and `priceChanges` alone, as `warmup.network.signals.reader` has them.
  Versions are as those of cards, of which such a socket is told none, nor of agents, readers and
  accounts; who has another one than `since` sends `open-signals` again.
- `{"type": "error", "text"}`: what it can't do, in a line.

It takes
- `{"type": "seen", "count"}`: how many messages have been taken in so far. A message that comes two
  seconds or more after the last `seen` is to be answered at once.
- `{"type": "refresh"}`
- `{"type": "open-pair", "exchangeId", "symbol", "timeframe"}`, `{"type": "close-pair"}`
- `{"type": "open-signals"}`

Close codes: 4401 not logged in (any more), 4403 no permission (any more), 4408 too slow: it owed
a `seen` for ten seconds, 4000 a day old: connect again at once, 4429 more than 200 messages in
five seconds, 4503 Redis or the database is away: try again later. Where it is refused from the
first, 4401 or 4403, HTTP says 403 in place of the upgrade.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from channels.consumer import get_handler_name
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer
from django.db import Error as DatabaseError
from redis.exceptions import RedisError

from exchanges.errors import clip
from livermore.market.timeframe import parse_timeframe
from warmup.network.page.snapshot import read_accounts
from warmup.network.permission import NotAdmitted, PageUser, admit
from warmup.network.socket.delivered import IN_SNAPSHOT, Told
from warmup.network.socket.feed import Feed, current_feed
from warmup.network.socket.lifetime import FLOOD, TRY_LATER, USUAL, Limits, wait_for_end
from warmup.network.socket.outbox import Outbox
from warmup.network.socket.pair_feed import OpenPair

logger = logging.getLogger(__name__)

LONGEST_MESSAGE = 4096
NOT_ON_SIGNALS = ("agents", "readers", "accounts")
FLOOD_MESSAGES, FLOOD_SECONDS = 200, 5.0


class NetworkConsumer(AsyncJsonWebsocketConsumer):
    """One browser: admitted, told what its groups are told, and closed when it must be."""

    def __init__(self, *, limits: Limits = USUAL, outbox: Callable[[], Outbox] = Outbox):
        super().__init__()
        self.groups: list[str] = []
        self._limits = limits
        self._outbox = outbox()
        self._feed: Feed | None = None
        self._page_user: PageUser | None = None
        self._told = Told()
        self._pair: OpenPair | None = None
        self._sees_signals = False
        self._life: asyncio.Task | None = None
        self._later: asyncio.TimerHandle | None = None
        self._sending = asyncio.Lock()
        self._ended = False
        self._counted, self._counted_since = 0, 0.0
        self._handlers: dict[str, Callable[[dict[str, Any]], Awaitable[None]]] = {
            "seen": self._seen,
            "refresh": self._refresh,
            "open-pair": self._open_pair,
            "close-pair": self._close_pair,
            "open-signals": self._open_signals,
        }

    @property
    def page_user(self) -> PageUser:
        """Return who looks; nobody is heard or told anything before he was let in."""
        assert self._page_user is not None
        return self._page_user

    @property
    def feed(self) -> Feed:
        """Return what tells it: it has one from when it was let in."""
        assert self._feed is not None
        return self._feed

    @property
    def user(self):
        return self.page_user.user

    # -- Its life

    async def __call__(self, scope, receive, send):
        try:
            await super().__call__(scope, receive, send)
        except (RedisError, DatabaseError, OSError) as error:
            logger.warning("network.broken_off error=%s", error)
            await send({"type": "websocket.close", "code": TRY_LATER})
        finally:
            await self._leave()

    async def dispatch(self, message: dict[str, Any]) -> None:
        # Channels' own looks for old database connections first, in a thread, for each message of
        # each socket. Nothing here touches the database but through database_sync_to_async.
        await getattr(self, get_handler_name(message))(message)

    async def connect(self) -> None:
        try:
            self._page_user = await self._admit()
        except NotAdmitted as refusal:
            await self.close(refusal.code)
            return
        await self.accept()
        self._feed = current_feed()
        await self._feed.join(self)
        await self._join(self._feed.everybody)
        await self._join(self._feed.user_group(self.user.pk))
        for number in self._feed.versions():
            await self._join(self._feed.group(number))
        await self._flush()
        self._life = asyncio.ensure_future(self._end_when_due())

    async def websocket_disconnect(self, message: dict[str, Any]) -> None:
        self._ended = True
        with contextlib.suppress(RedisError, OSError):
            for group in list(self.groups):
                await self._quit(group)
        self.groups = []
        await super().websocket_disconnect(message)

    async def _leave(self) -> None:
        self._ended = True
        if self._life:
            self._life.cancel()
        if self._later:
            self._later.cancel()
        if self._feed:
            await self._close_pair({})
            if self._sees_signals:
                self._feed.close_signals()
            self._feed.leave(self)

    async def _end_when_due(self) -> None:
        code = await wait_for_end(self._outbox, self._check, self._limits)
        self._ended = True
        logger.info("network.closed user=%s code=%d", self.user.pk, code)
        await self.close(code)

    async def _check(self) -> None:
        before, self._page_user = self.page_user, await self._admit()
        if before.may_operate != self._page_user.may_operate:
            await self._refresh({})

    async def _admit(self) -> PageUser:
        return await database_sync_to_async(admit)(self.scope["session"].session_key)

    async def _join(self, group: str) -> None:
        if group not in self.groups:
            self.groups.append(group)
            await self.channel_layer.group_add(group, self.channel_name)

    async def _quit(self, group: str) -> None:
        if group in self.groups:
            self.groups.remove(group)
            await self.channel_layer.group_discard(group, self.channel_name)

    # -- To the browser

    async def network_message(self, event: dict[str, Any]) -> None:
        """Take what the feed tells."""
        kind = event["kind"]
        if self._ended or (kind == "pair" and tuple(event["pair"]) != self._pair):
            return
        if kind in NOT_ON_SIGNALS and self._sees_signals:
            return
        if kind == "card" and self._sees_signals:
            self._told.is_news(event)  # of a new exchange: that it ends will be news
            return
        if kind == "card":
            await self._join(self.feed.group(event["exchange"]))  # it may be new
        elif kind == "gone":
            await self._quit(self.feed.group(event["exchange"]))
        if self._told.is_news(event):
            self._outbox.put(event)
        await self._flush()

    async def _flush(self) -> None:
        """Send what may go out now."""
        async with self._sending:
            while self._outbox.is_open and not self._ended:
                if self._told.snapshot_due and self._told.snapshot_in_seconds(_now()) <= 0:
                    await self._send_snapshot()
                elif message := self._outbox.take():
                    await self._send(message["text"])
                else:
                    break

    async def _send_snapshot(self) -> None:
        accounts = await database_sync_to_async(read_accounts)(self.user)
        self._told.begin_snapshot(_now())
        for kind in IN_SNAPSHOT:
            self._outbox.forget(kind)
        self._told.snapshot_of(
            self.feed.versions(), _text({"type": "accounts", "accounts": accounts})
        )
        await self._send(_text(self.feed.snapshot(self.page_user.may_operate, accounts)))

    async def _send(self, text: str) -> None:
        self._outbox.note_sent(_now())
        await self.send(text_data=text)

    async def _say(self, text: str) -> None:
        self._outbox.put({"kind": "error", "text": _text({"type": "error", "text": text})})
        await self._flush()

    # -- From the browser

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if self._ended:
            return
        if self._floods():
            self._ended = True
            logger.warning("network.flooded user=%s", self.user.pk)
            await self.close(FLOOD)
            return
        if text_data is None or len(text_data) > LONGEST_MESSAGE:
            await self._say(f"a message is text, of {LONGEST_MESSAGE} characters at the most")
            return
        try:
            content = orjson.loads(text_data)
            handler = self._handlers[content["type"]]
        except (ValueError, LookupError, TypeError):
            await self._say(f"not a message that is known here: {clip(text_data)}")
            return
        try:
            await handler(content)
        except (ValueError, LookupError) as error:
            await self._say(f"{content['type']}: {clip(str(error))}")

    def _floods(self) -> bool:
        """Count a message; tell whether this browser sends more than a page ever would.

        The web server keeps in memory whatever was sent and not read yet.
        """
        now = _now()
        if now - self._counted_since >= FLOOD_SECONDS:
            self._counted_since, self._counted = now, 0
        self._counted += 1
        return self._counted > FLOOD_MESSAGES

    async def _seen(self, content: dict[str, Any]) -> None:
        count = content.get("count")
        if type(count) is not int:
            raise ValueError("`count` is to be a whole number")
        self._outbox.note_seen(count, _now())
        await self._flush()

    async def _refresh(self, content: dict[str, Any]) -> None:
        self._told.snapshot_due = True
        wait_seconds = self._told.snapshot_in_seconds(_now())
        if wait_seconds <= 0:
            await self._flush()
        elif self._later is None or self._later.when() <= _now():
            loop = asyncio.get_running_loop()
            self._later = loop.call_later(wait_seconds, self._flush_later)

    def _flush_later(self) -> None:
        self._flushing = asyncio.ensure_future(self._try_to_flush())

    async def _try_to_flush(self) -> None:
        with contextlib.suppress(DatabaseError):  # what comes next tries again
            await self._flush()

    async def _open_pair(self, content: dict[str, Any]) -> None:
        pair = _pair(content)
        await self._close_pair({})
        feed = await self.feed.open_pair(pair)
        self._pair = pair
        await self._join(self.feed.pair_group(pair))
        with contextlib.suppress(RedisError):  # then it comes when Redis answers again
            self._outbox.put(await feed.all())
        await self._flush()

    async def _open_signals(self, content: dict[str, Any]) -> None:
        if not self._sees_signals:
            self._sees_signals = True
            for number in self.feed.versions():
                await self._quit(self.feed.group(number))
            await self.feed.open_signals()
            await self._join(self.feed.signals_group)
        for message in self.feed.signals():
            self._outbox.put(message)
        await self._flush()

    async def _close_pair(self, content: dict[str, Any]) -> None:
        pair, self._pair = self._pair, None
        if pair:
            self._outbox.forget("pair")
            with contextlib.suppress(RedisError, OSError):
                await self._quit(self.feed.pair_group(pair))
            await self.feed.close_pair(pair)


def _pair(content: dict[str, Any]) -> OpenPair:
    number, symbol = content.get("exchangeId"), content.get("symbol")
    timeframe = content.get("timeframe")
    if type(number) is not int or not isinstance(symbol, str) or not isinstance(timeframe, str):
        raise ValueError("it needs `exchangeId`, a number, and `symbol` and `timeframe`, texts")
    return number, symbol, parse_timeframe(timeframe)


def _text(message: dict[str, Any]) -> str:
    return orjson.dumps(message).decode()


def _now() -> float:
    return asyncio.get_running_loop().time()
