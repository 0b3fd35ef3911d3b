"""A runner against a sandbox whose minutes take half a second, and what an outsider sees of it."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

import orjson
from django.db import connections

from exchanges.lock.acquire import ExchangeLock
from exchanges.lock.status import State, read_status
from exchanges.models import Exchange
from exchanges.rest.reply import QuietBars
from exchanges.sandbox.server.config import SandboxConfig
from exchanges.sandbox.server.server import SandboxServer
from exchanges.sandbox.symbols import DEFAULT
from exchanges.stream import connection, lane
from exchanges.symbols import fetch_listing as fetch_listing_module
from exchanges.symbols.fetch_listing import fetch_listing
from exchanges.transport import backoff
from exchanges.venues import VENUES
from livermore.market import keys
from livermore.market.columns import COLUMNS
from livermore.market.coverage import missing
from livermore.market.pair import Pair
from livermore.market.timeframe import LONGEST_FIRST, Timeframe
from warmup.backfill import BackfillConfig
from warmup.cache.candles import CandleCache
from warmup.live import background_repair, sink
from warmup.live.pairs import set_aside as aside
from warmup.live.writing import write_queue
from warmup.runner import listing_watch, monitored
from warmup.runner import runner as runner_module
from warmup.runner.runner import ExchangeRunner

ROOT = Path(__file__).resolve().parents[2]
MINUTE_MS = Timeframe.M1.ms
MIDNIGHT_MS = 1_795_046_400_000  # 2026-11-19 00:00 UTC: bars of all six timeframes end there
HEALED_WITHIN_MS = 3 * MINUTE_MS
LEAST_PAUSE_SECONDS, PAUSES_PER_QUESTION = 0.01, 4
SHORT_LEASE = {"ttl_ms": 1500, "renew_ms": 300}
SYMBOLS = ["BTC-USD", "ETH-USD", "SOL-USD"]
TELL_COLUMNS = ("binance", "binance_usdm")  # more of a bar than its six numbers
# As a row of the exchange has them, with the sandbox's address.
COINBASE_PATH = "/api/v3/brokerage"
REST_PATHS = {"binance": "", "binance_us": "", "coinbase": COINBASE_PATH, "sandbox": ""}


def chosen(symbols):
    """Return the sandbox's listings of these symbols."""
    return tuple(listing for listing in DEFAULT if listing.symbol in symbols)


def serve(**settings):
    """Return a sandbox with three symbols, two minutes before midnight, two minutes a second."""
    usual = {
        "start_ms": MIDNIGHT_MS - 2 * MINUTE_MS,
        "speed": 120,
        "listings": chosen(SYMBOLS),
        "coinbase_rate": 10**6,
    }
    return SandboxServer(SandboxConfig(**usual | settings))


def make_row(sandbox, name="sandbox", symbols=SYMBOLS, **values):
    """Return the exchange's row with the sandbox's addresses and `symbols` monitored.

    It speaks what its name begins with, if that is a venue, else Binance's protocol.
    """
    venue = max((each for each in VENUES if name.startswith(each)), key=len, default="binance")
    preset = VENUES[venue].presets[0]
    usual = {
        "venue": venue,
        "rest_url": sandbox.url + urlsplit(preset.rest_url).path,
        "ws_url": sandbox.ws_url + urlsplit(preset.ws_url).path,
        "archive_url": "",
        "pacing": preset.pacing,
        "batch_delay_ms": 0,
    }
    row, _ = Exchange.objects.update_or_create(name=name, defaults=usual | values)
    fetch_listing(row)
    row.symbols.update(is_monitored=False)
    row.symbols.filter(symbol__in=symbols).update(is_monitored=True)
    return row


def wait_until(condition, seconds=20, pause_seconds=LEAST_PAUSE_SECONDS):
    """Return what the condition comes to; the longer it takes to find out, the rarer it is asked.

    What is waited for works in the same process, often: asking is to take a fifth of it at most.
    Where another process has to find out, it is asked each `pause_seconds`.
    """
    deadline = time.monotonic() + seconds
    while True:
        asked_at = time.thread_time()
        if found := condition():
            return found
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(max(pause_seconds, PAUSES_PER_QUESTION * (time.thread_time() - asked_at)))


def let_calls_end():
    """Wait for calls that were on their way when something broke off."""
    for thread in threading.enumerate():
        if thread.name.startswith("fetch-"):
            thread.join(10)


def wait_for_time(sandbox, time_ms, seconds=60):
    """Wait until the exchange's clock has come to `time_ms`."""
    wait_until(lambda: sandbox.clock.now_ms() >= time_ms, seconds)


class Running:
    """A runner in a thread."""

    def __init__(self, redis, row, symbols=SYMBOLS, **options):
        self.redis, self.row = redis, row
        self.error = None
        self.runner = ExchangeRunner(redis, row, symbols, **options)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        try:
            self.runner.run()
        except Exception as error:
            self.error = error
        finally:
            connections.close_all()

    @property
    def ended(self):
        return not self._thread.is_alive()

    def wait_until_live(self, seconds=20):
        def connected():
            assert not self.ended, self.error
            status = read_status(self.redis, self.row.pk)
            live = status.state is State.ACTIVE and status.details
            return live and (live.get("connections") or not live.get("symbols", 1))

        wait_until(connected, seconds)
        return self

    def stop(self):
        """End it in order, within the five seconds that it has."""
        self.runner.stop()
        self._thread.join(5)
        assert self.ended


@contextmanager
def running(redis, row, symbols=SYMBOLS, **options):
    """Run an exchange in a thread; it must not have ended by itself when the test is done."""
    one = Running(redis, row, symbols, **options)
    try:
        yield one.wait_until_live()
        assert not one.ended, one.error
    finally:
        one.stop()


def events_of(redis, exchange_id):
    """Return every close that was told, in order, by pair."""
    found = {}
    for _, fields in redis.xrange(keys.events(exchange_id)):
        event = orjson.loads(fields[b"event"])
        found.setdefault((event["symbol"], event["timeframe"]), []).append(event)
    return found


def stored(redis, exchange_id, symbol, timeframe):
    """Return the pair's cached rows and its coverage, both of one moment."""
    pipe = redis.pipeline(transaction=True)
    pipe.zrange(keys.candles(exchange_id, symbol, timeframe), 0, -1, withscores=True)
    pipe.get(keys.coverage(exchange_id, symbol, timeframe))
    members, coverage = pipe.execute()
    rows = [orjson.loads(member) for member, _ in members]
    assert [row[0] for row in rows] == [score for _, score in members]
    return rows, orjson.loads(coverage or b"[]")


def true_rows(sandbox, row, symbol, timeframe, start_ms, end_ms):
    """Return the closed candles of a stretch as they are to be stored of what a venue tells."""
    stretch = (symbol, timeframe, start_ms, end_ms)
    omits = VENUES[row.venue].quiet_bars is QuietBars.OMITS
    if row.venue in TELL_COLUMNS:
        return sandbox.market.closed_rows(*stretch, traded_only=omits)
    candles = sandbox.market.closed_candles(*stretch, traded_only=omits)
    return [list(each) for each in candles]


class Comparison:
    """The cache and the events of one exchange beside the sandbox's truth."""

    def __init__(self, redis, sandbox, row, symbols=SYMBOLS, timeframes=LONGEST_FIRST):
        self._redis, self._sandbox, self._row = redis, sandbox, row
        self._pairs = [(symbol, timeframe) for symbol in symbols for timeframe in timeframes]

    def behind(self, until_ms, streamed=False):
        """Return the pairs that are not known up to the last bar of `until_ms`, or not told so far.

        Where they are `streamed`, every bar up to there has to be told.
        """
        told = CandleCache(self._redis, self._row.pk).told([Pair(*pair) for pair in self._pairs])
        known = self._known_until()
        return [
            pair
            for pair in self._pairs
            if known[pair] < pair[1].floor(until_ms)
            or ((mark := told.get(pair)) and mark.skipped)
            or (streamed and mark and mark.until_ms < pair[1].floor(until_ms))
        ]

    def _known_until(self):
        """Return up to when each is known without a gap: later closes may be stored already."""
        names = [keys.coverage(self._row.pk, *pair) for pair in self._pairs]
        spans = [orjson.loads(text or b"[]") for text in self._redis.mget(names)]
        return {
            pair: (found or [[0, 0]])[0][1] for pair, found in zip(self._pairs, spans, strict=True)
        }

    def wait(self, until_ms, seconds=45):
        """Wait until every pair is complete up to `until_ms` of the exchange's time."""
        deadline = time.monotonic() + seconds
        while behind := self.behind(until_ms, streamed=True):
            assert time.monotonic() < deadline, f"still behind: {behind}"
            time.sleep(0.05)

    def faults(self, *, since_ms=0, told=True):
        """Return what is wrong, a line each; nothing where all is as it should be.

        Every bar that ended after `since_ms` must have been told, if `told`.
        """
        # Before the events: what closes while this looks must not seem untold.
        ends = self._known_until()
        events = events_of(self._redis, self._row.pk)
        found = []
        for pair in self._pairs:
            found += [f"{pair[0]} {pair[1]}: {text}" for text in self._of_cache(*pair)]
            if told:
                texts = self._of_events(*pair, events.get(pair, []), since_ms, ends[pair])
                found += [f"{pair[0]} {pair[1]}: {text}" for text in texts]
        return found

    def _truth(self, *stretch):
        return true_rows(self._sandbox, self._row, *stretch)

    def _of_cache(self, symbol, timeframe):
        rows, coverage = stored(self._redis, self._row.pk, symbol, timeframe)
        now_ms = self._sandbox.clock.now_ms()
        # What closed a moment ago may be missing, and what follows it be there already.
        known_ms = timeframe.floor(now_ms - HEALED_WITHIN_MS)
        if missing(coverage, coverage[0][0], max(known_ms, coverage[0][1])):
            yield f"coverage {coverage}"
        for start_ms, end_ms in coverage:
            if end_ms > now_ms:
                yield f"claims {end_ms - now_ms} ms of the future"
            inside = [row for row in rows if start_ms <= row[0] < end_ms]
            yield from _differences(inside, self._truth(symbol, timeframe, start_ms, end_ms))
        if any(missing(coverage, row[0], row[0] + timeframe.ms) for row in rows):
            yield "candles outside of the coverage"

    def _of_events(self, symbol, timeframe, events, since_ms, end_ms):
        in_turn = [event["timestamp"] for event in events if not event.get("late")]
        if in_turn != sorted(in_turn):
            yield f"told out of order: {in_turn}"
        times = sorted(event["timestamp"] for event in events)
        if len(times) != len(set(times)):
            yield f"told twice: {[a for a, b in pairwise(times) if a == b]}"
        if not all(event["healed"] for event in events if event.get("late")):
            yield "told late, and not as healed"
        names = ("timestamp", "open", "high", "low", "close", "volume", *COLUMNS)
        told = [[event[name] for name in names if name in event] for event in events]
        first_ms = timeframe.floor(since_ms) if since_ms else times[0] if times else end_ms
        late = [row for row in told if first_ms <= row[0] < end_ms]
        yield from (
            f"told: {text}"
            for text in _differences(late, self._truth(symbol, timeframe, first_ms, end_ms))
        )


def _differences(found, expected):
    by_time = {row[0]: row for row in found}
    for row in expected:
        other = by_time.pop(row[0], None)
        if other is None:
            yield f"{row[0]} is missing"
        elif other != row:
            yield f"{other} is not {row}"
    for row in by_time.values():
        yield f"{row} does not exist"


def hurry(monkeypatch):
    """Let what waits for half a minute on a real exchange wait for half a second here."""
    monkeypatch.setattr(connection, "SILENCE_SECONDS", 0.5)
    monkeypatch.setattr(connection, "ACK_SECONDS", 0.5)
    monkeypatch.setattr(connection, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(lane, "LEAST_SILENCE_SECONDS", 0.5)
    monkeypatch.setattr(lane, "SECONDS_BETWEEN_LISTENING", 0.25)
    monkeypatch.setattr(backoff, "FIRST_RECONNECT_SECONDS", 0.1)
    monkeypatch.setattr(fetch_listing_module, "SECONDS_UNTIL_SURE", 0.1)
    monkeypatch.setattr(listing_watch, "SHORTEST_AGE_SECONDS", 0.5)
    monkeypatch.setattr(listing_watch, "SECONDS_BETWEEN_DOUBTS", 0.1)
    monkeypatch.setattr(listing_watch, "SECONDS_AFTER_FAILURE", 0.5)
    monkeypatch.setattr(listing_watch, "SECONDS_UNTIL_SURE", 0.2)
    step_often(monkeypatch)


def step_often(monkeypatch):
    """Let a runner look five times as often at what is to be done, and say as often how it is."""
    monkeypatch.setattr(runner_module, "STEP_SECONDS", 0.05)
    monkeypatch.setattr(monitored, "STEP_SECONDS", 0.2)
    monkeypatch.setattr(monitored, "SECONDS_BETWEEN_ROWS", 0.2)
    monkeypatch.setattr(background_repair, "STEP_SECONDS", 0.2)
    monkeypatch.setattr(sink, "SECONDS_BETWEEN_LOOKS", 0.1)
    monkeypatch.setattr(write_queue, "SECONDS_AFTER_FAILURE", 0.1)
    monkeypatch.setattr(aside, "SECONDS_BETWEEN_LOOKS", 0.4)


def backfill_without_pauses(monkeypatch):
    """Let backfills go on at once where they pause for a second on a real exchange."""
    config = BackfillConfig()
    monkeypatch.setattr(
        BackfillConfig.__init__, "__defaults__", (config.candle_count, config.batch_size, 0)
    )


def short_lease(monkeypatch):
    """Let every lock of this process end after a second and a half."""
    for name, value in SHORT_LEASE.items():
        monkeypatch.setitem(ExchangeLock.__init__.__kwdefaults__, name, value)


# -- Processes


def database_url():
    """Return the address of the test database, for processes."""
    settings = connections["default"].settings_dict
    if "sqlite3" in settings["ENGINE"]:
        return f"sqlite:///{settings['NAME']}"
    return f"{os.environ['DATABASE_URL'].rpartition('/')[0]}/{settings['NAME']}"


def start(*arguments, code=None):
    """Start a management command, or `code` in place of manage.py, in a process of its own."""
    program = [ROOT / "manage.py"] if code is None else ["-c", code]
    return subprocess.Popen(
        [sys.executable, "-u", *program, *arguments],
        env=os.environ | {"DATABASE_URL": database_url()},
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def processes():
    """Let commands be started as `start` does; whatever still runs in the end is killed."""
    started = []

    def manage(*arguments, code=None):
        started.append(start(*arguments, code=code))
        return started[-1]

    try:
        yield manage
    finally:
        for process in started:
            process.kill()
            process.communicate()


def with_short_lease(*arguments):
    """Return code that runs a command whose lock ends after a second and a half."""
    return (
        "import os, django\n"
        "from django.core.management import execute_from_command_line\n"
        "os.environ['DJANGO_SETTINGS_MODULE'] = 'livermore.settings'\n"
        "django.setup()\n"
        "from exchanges.lock.acquire import ExchangeLock\n"
        f"ExchangeLock.__init__.__kwdefaults__.update({SHORT_LEASE})\n"
        "from warmup.runner import agent\n"
        "agent.STEP_SECONDS = 0.2\n"
        f"execute_from_command_line(['manage.py', *{arguments}])\n"
    )


def end(process, how=signal.SIGTERM, seconds=5):
    """Send a signal; return the exit status and what the process had said on both streams."""
    process.send_signal(how)
    out, err = process.communicate(timeout=seconds)
    return process.returncode, out, err
