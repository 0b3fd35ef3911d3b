"""One candle's way, as docs/tour.md walks it: it passes the places that are named there, in order.

`pytest tests/test_tour.py --trace -s -k socket` is that walk with a debugger: all that matters
happens in the test's own thread, and everything to stop at is imported here.
"""

import asyncio
import re
import sys
import threading
import time
from contextlib import closing, contextmanager
from pathlib import Path

import orjson
import pytest
from asgiref.sync import sync_to_async

from exchanges.adapters import ExchangeAdapterFactory
from exchanges.klines.stream import KlineSession
from exchanges.stream.connection import Connection
from exchanges.stream.inbox import Inbox
from exchanges.stream.lane import Lane
from exchanges.stream.streamer import Streamer
from livermore.asgi import application
from livermore.market import keys
from livermore.market.timeframe import Timeframe
from tests.warmup.network.operators import person
from tests.warmup.network.sockets import browsing, log_in
from tests.warmup.runners import MIDNIGHT_MS, chosen, make_row, serve
from warmup.live.bars import Bars
from warmup.live.sink import CandleSink
from warmup.live.writing.close_writer import CloseWriter
from warmup.live.writing.flush import Flusher
from warmup.network.page.pair_view import read_pair
from warmup.network.socket.consumer import NetworkConsumer
from warmup.network.socket.feed import Feed
from warmup.network.socket.outbox import Outbox
from warmup.network.socket.pair_feed import PairFeed
from warmup.network.socket.subscriber import Subscriber

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs/tour.md"
PARTS = ("From the socket to Redis", "From Redis to a browser")
STOP = re.compile(r"^\d+\. `([\w/]+[.]py):([\w.]+)`", re.M)
SYMBOL, M1 = "BTC-USD", Timeframe.M1
EPOCH = 1
# A day ends after three seconds; whoever comes too late for that waits 15 more for the next minute.
SETTINGS = {"start_ms": MIDNIGHT_MS - 12_000, "speed": 4, "listings": chosen([SYMBOL])}
TO_STOP_AT = (  # else they were imported for nothing
    *(Inbox, Connection, Lane, KlineSession, Bars, CloseWriter, Flusher),
    *(Subscriber, Feed, PairFeed, read_pair, NetworkConsumer, Outbox),
)


def stops(part):
    """Return what a part of the document stops at: the file and the function of each."""
    text = DOCUMENT.read_text().partition(f"\n## {part}\n")[2].partition("\n## ")[0]
    return STOP.findall(text)


@contextmanager
def noting_calls():
    """Yield the functions of ours that are called, in order, as the document names them."""
    called = []

    def note(frame, event, _):
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(f"{ROOT}/"):
            called.append((str(Path(code.co_filename).relative_to(ROOT)), code.co_qualname))

    before = sys.getprofile()
    threading.setprofile(note)
    sys.setprofile(note)
    try:
        yield called
    finally:
        sys.setprofile(before)
        threading.setprofile(None)


def assert_passed(called, places):
    """Each place is called after the one before it."""
    assert len(places) > 4
    at = 0
    for place in places:
        assert place in called[at:], f"{place} is not called there"
        at = called.index(place, at) + 1


def take_off(redis, row, until):
    """Stream from here, without a thread for it, until it is so."""
    factory = ExchangeAdapterFactory(redis)
    redis.set(keys.epoch(row.pk), EPOCH)
    with closing(factory.rest(row)) as rest:
        stream = factory.stream(row)
        sink = CandleSink(redis, row.pk, rest, EPOCH, rolls_up_from=stream.rolls_up_from)
        streamer = Streamer(stream, sink, rest)
        streamer.add([SYMBOL])
        deadline = time.monotonic() + 80
        try:
            while not until():
                streamer.step()
                assert time.monotonic() < deadline, "nothing closed"
                time.sleep(0.05)
        finally:
            streamer.start([])  # its own thread ends the connections
            streamer.stop()
            sink.close()


def newest_close(redis, row):
    """Return the last event of a close that the stream told, None where there was none."""
    entries = redis.xrevrange(keys.events(row.pk))
    events = (orjson.loads(fields[b"event"]) for _, fields in entries)
    return next((event for event in events if not event["healed"]), None)


def test_from_the_socket_to_redis(redis):
    with serve(**SETTINGS) as sandbox:
        row = make_row(sandbox, symbols=[SYMBOL])
        with noting_calls() as called:
            take_off(redis, row, lambda: newest_close(redis, row))
    close = newest_close(redis, row)
    cached = redis.zrange(keys.candles(row.pk, SYMBOL, close["timeframe"]), -1, -1)
    assert orjson.loads(cached[0])[0] == close["timestamp"]
    assert_passed(called, stops(PARTS[0]))


def test_from_redis_to_a_browser(redis):
    with serve(**SETTINGS) as sandbox:
        row = make_row(sandbox, symbols=[SYMBOL])
        session = log_in(person("reader", "view_exchange"))
        with noting_calls() as called:
            asyncio.run(look(redis, row, session))
    assert_passed(called, stops(PARTS[1]))


async def look(redis, row, session):
    """Open a pair's page, and wait until it shows a candle that comes meanwhile."""
    async with browsing(application, session, may_miss=True) as browser:
        await browser.say(type="open-pair", exchangeId=row.pk, symbol=SYMBOL, timeframe=str(M1))
        before = await browser.until(lambda message: message["type"] == "pair")
        write = sync_to_async(take_off, thread_sensitive=False)
        await write(redis, row, lambda: newest_close(redis, row))
        await browser.until(lambda message: message["type"] == "pair" and message != before)


@pytest.mark.parametrize(
    ("file", "function"),
    [stop for part in PARTS for stop in stops(part)],
)
def test_every_place_of_the_tour_is_there(file, function):
    source = (ROOT / file).read_text()
    name = function.rpartition(".")[2]
    assert re.search(rf"^ *(async )?def {name}\(", source, re.M)


def test_what_the_tour_stops_at_is_known_where_it_begins():
    named = re.findall(r"\(Pdb\) b ([\w.]+)", DOCUMENT.read_text())
    for name in [*named, *(function for part in PARTS for _, function in stops(part))]:
        first, *others = name.split(".")
        found = globals()[first]
        for other in others:
            found = getattr(found, other)
        assert callable(found)
    assert named
