"""Two exchanges that are asked about by both ways, while things go wrong."""

import base64
import os
import threading
from collections import Counter
from contextlib import ExitStack, contextmanager
from itertools import cycle, product

import livermore_reader
from django.contrib.auth import get_user_model
from livermore_reader import ReaderError

from exchanges.models import Exchange, UserExchange
from exchanges.redis.directory import publish_exchanges
from exchanges.sandbox.faults.fault import KINDS as REST_FAULTS
from exchanges.sandbox.faults.listings import BAD_LISTINGS
from exchanges.sandbox.faults.rows import BAD_ROWS
from exchanges.sandbox.faults.scenario import KINDS as SCENARIOS
from exchanges.sandbox.faults.scenario import OF_A_SYMBOL
from exchanges.sandbox.faults.scenario import WAYS as MALFORMED
from exchanges.venues.coinbase import key
from livermore.market.derived import join
from livermore.market.timeframe import Timeframe
from tests.serving.serving import served
from tests.warmup.runners import (
    MIDNIGHT_MS,
    MINUTE_MS,
    hurry,
    make_row,
    running,
    serve,
    true_rows,
    wait_for_time,
    wait_until,
)

SPEED = 100  # of the exchange's clock
GRACE_MS = 5_000  # for which a bar that has ended may be on its way
BEHIND_MS = 2_000 * SPEED  # the time that is told may be, where this machine is busy
SYMBOLS = ["BTC-USD", "ETH-USD"]
TIMEFRAMES = ["1m", "3m", "5m"]
SECONDS_BETWEEN = 0.04  # what is asked
THREE_MS = 3 * MINUTE_MS
# How long something goes wrong, of the exchange's time: around the end of a minute.
BEFORE_MS, AFTER_MS = 10_000, 20_000
HOW = {
    "holes": {"chance": 0.3},
    "late": {"seconds": 30},
    "slow": {"seconds": 0.5},
    "time": {"ms": 300_000},
}
# Rows that are left out between others. Coinbase says so that nothing was traded, and is believed
# for half an hour of minutes in which nobody was shown a trade, as where the stream is cut too.
HOLES = ("holes", "rest_holes")
FAULTS = sorted({*SCENARIOS, *REST_FAULTS})
WAYS = {  # more than the first way of each
    "early_close": ["later"],
    "late": ["stale"],
    "listing": [*BAD_LISTINGS][1:],
    "malformed": MALFORMED,
    "bad_rows": [*BAD_ROWS][1:],
    "refuse_subscription": ["silent", "left_out"],
    "rest_late": ["stale"],
}
ALL_FAULTS = FAULTS + [f"{kind} {way}" for kind, ways in WAYS.items() for way in ways]


class Asking:
    """Asks one way about one exchange again and again, in a thread, and compares with the truth."""

    def __init__(self, url, sandbox, row):
        self._sandbox, self._row = sandbox, row
        self._way = "serve" if url.startswith("http") else "Redis"
        self.faults, self.handed_out, self.refused = [], Counter(), 0
        self.frames = Counter()  # handed out, by symbol and timeframe
        self._lm = livermore_reader.connect(url)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        for symbol, timeframe in cycle(product(SYMBOLS, TIMEFRAMES)):
            if self._ending.wait(SECONDS_BETWEEN):
                return
            self._ask(symbol, timeframe)

    def _ask(self, symbol, timeframe):
        asked_ms = self._sandbox.clock.now_ms()
        try:
            found = self._lm.read(self._row.name, symbol, timeframe, 20, strict=True)
        except ReaderError as error:
            self.refused += 1
            if "\n" in str(error):
                self.faults.append(f"more than a line: {error}")
            return
        self.handed_out[symbol] += 1
        self.frames[symbol, timeframe] += 1
        told_ms = self._sandbox.clock.now_ms()
        which = f"{self._row.name} {symbol} {timeframe} by {self._way}, asked at {asked_ms}, "
        which += f"told at {told_ms} as of {found.now_ms}"
        self.faults += [f"{which}: {text}" for text in self._wrong(found, asked_ms)]

    def _wrong(self, found, asked_ms):
        """Yield what is not as it is at the exchange."""
        rows = [row if row[6] is not None else row[:6] for row in found.rows]
        if not rows:
            yield "it is empty"
            return
        step = found.rows[1][0] - found.rows[0][0] if len(rows) > 1 else MINUTE_MS
        if asked_ms - found.now_ms > BEHIND_MS:
            yield f"its time is {asked_ms - found.now_ms} ms behind"
        ended_ms = min(asked_ms, found.now_ms) - GRACE_MS
        until_ms = max(ended_ms - ended_ms % step, rows[-1][0] + 1)
        expected = self._truth(found.symbol, found.timeframe, rows[0][0], until_ms)
        missing = [row[0] for row in expected if row[0] not in {row[0] for row in rows}]
        if missing:
            yield f"{missing} are missing of {rows[0][0]} to {rows[-1][0]}"
        wrong = [row for row in rows if row not in expected]
        if wrong:
            yield f"{wrong} do not exist, but {[r for r in expected if r[0] == wrong[0][0]]}"

    def _truth(self, symbol, timeframe, start_ms, until_ms):
        if timeframe != "3m":
            stretch = symbol, Timeframe(timeframe), start_ms, until_ms
            return [list(row) for row in true_rows(self._sandbox, self._row, *stretch)]
        end_ms = -(-until_ms // THREE_MS) * THREE_MS
        found = {}
        for row in true_rows(self._sandbox, self._row, symbol, Timeframe.M1, start_ms, end_ms):
            found.setdefault(row[0] - row[0] % THREE_MS, []).append(row)
        return [join(parts, opened) for opened, parts in found.items()]

    def end(self):
        self._ending.set()
        self._thread.join(30)
        self._lm.close()
        assert not self._thread.is_alive()


class Trial:
    """Lets things go wrong while others ask."""

    def __init__(self, sandbox, asking):
        self._sandbox, self._asking = sandbox, asking
        self.wait_until_handed_out()
        self._streams = self._streamed()  # where all is well

    def under(self, *faults, waits=True):
        """Return what is handed out that is not so while these go wrong, a line each.

        A fault is its kind, and maybe its way. Until all is well again it is waited, or not.
        """
        alone = waits and len(faults) == 1
        if alone and faults[0] in HOLES:
            self._wait_until_all_is_well()
        for fault in faults:
            self._put_in_force(*fault.split(), alone=alone)
        ends_ms = Timeframe.M1.ceil(self._sandbox.clock.now_ms() + BEFORE_MS) + AFTER_MS
        wait_for_time(self._sandbox, ends_ms)
        self._sandbox.scenarios.clear()
        self._sandbox.faults.clear()
        if waits:
            is_of_one = any(fault.split()[0] in OF_A_SYMBOL for fault in faults)
            self.wait_until_handed_out(SYMBOLS[1:] if is_of_one else SYMBOLS)
        return self.take_faults()

    def _wait_until_all_is_well(self):
        """Wait until all is streamed again, and all that was not meanwhile is known.

        A fault before may have cut the streams for longer than it lasted: a subscription that was
        refused is asked for again later and later.
        """
        wait_until(lambda: self._streamed() >= self._streams, 60)
        before = [each.frames.copy() for each in self._asking]
        pairs = [*product(SYMBOLS, TIMEFRAMES)]

        def have_got():
            return all(
                each.frames[pair] > then[pair]
                for each, then in zip(self._asking, before, strict=True)
                for pair in pairs
            )

        wait_until(lambda: have_got() or any(each.faults for each in self._asking), 60)

    def _streamed(self):
        told = self._sandbox.streams.items()
        return {(venue, name) for venue, counts in told for name in list(counts.subscriptions)}

    def take_faults(self):
        found = [text for each in self._asking for text in each.faults[:3]]
        for each in self._asking:
            each.faults.clear()
        return found

    def wait_until_handed_out(self, symbols=SYMBOLS):
        """Wait until each gets what it asks for, of one of these: what went wrong is over."""

        def counts():
            return [sum(each.handed_out[symbol] for symbol in symbols) for each in self._asking]

        def have_got():
            more = [now > then for now, then in zip(counts(), before, strict=True)]
            return all(more) or any(each.faults for each in self._asking)

        before = counts()
        wait_until(have_got, 60)

    @property
    def handed_out(self):
        return sum(each.handed_out.total() for each in self._asking)

    @property
    def refused(self):
        return sum(each.refused for each in self._asking)

    def _put_in_force(self, kind, way=None, *, alone):
        """Let closes be lost too, where it is REST that is to be asked for them."""
        how = {"way": way} if way else {}
        if kind in HOLES and not alone:
            how["protocol"] = "binance"
        if kind in REST_FAULTS:
            self._sandbox.faults.add(kind, **HOW.get(kind, {}) | how)
        if kind in SCENARIOS:
            if kind in OF_A_SYMBOL:
                how["symbol"] = SYMBOLS[1]
            if kind == "slow":
                how["delay"] = HOW["slow"]["seconds"]
            self._sandbox.scenarios.add(kind, **how)
        if kind in REST_FAULTS or kind.startswith("rest_"):
            self._sandbox.scenarios.add("missing_close", chance=0.5)
        if kind.startswith("proxy_"):  # it is asked for new connections alone
            self._sandbox.scenarios.add("drop", seconds=0.1)


@contextmanager
def trial(redis, patch):
    """Run two exchanges, by a proxy, and ask about them."""
    hurry(patch)
    with ExitStack() as opened:
        started = serve(speed=SPEED, start_ms=MIDNIGHT_MS - 50_000, proxy_port=0)
        sandbox = opened.enter_context(started)
        proxy = f"http://127.0.0.1:{sandbox.proxy_port}"
        rows = [make_row(sandbox, name, SYMBOLS, proxy=proxy) for name in ("sandbox", "coinbase")]
        _sign(rows[1], patch)
        publish_exchanges(redis)
        for row in rows:
            opened.enter_context(running(redis, row, SYMBOLS))
        asking = []
        for url in (os.environ["REDIS_URL"], opened.enter_context(served(redis))):
            for row in rows:
                asking.append(Asking(url, sandbox, row))
                opened.callback(asking[-1].end)
        yield Trial(sandbox, asking)


def _sign(row, patch):
    """Give Coinbase's row an account: some faults concern signed calls alone."""
    patch.setattr(key, "_STATES", {})
    patch.setenv("COINBASE_MY_KEY", "8f1ac569-ed29-48ae-b989-6798a975afab")
    patch.setenv("COINBASE_MY_SECRET", base64.b64encode(32 * b"s").decode())
    names = {"api_key_env": "COINBASE_MY_KEY", "api_secret_env": "COINBASE_MY_SECRET"}
    user, _ = get_user_model().objects.get_or_create(username="trader")
    UserExchange.objects.filter(user=user).delete()
    account = UserExchange(user=user, exchange=row, display_name="mine", **names)
    account.save()
    Exchange.objects.filter(pk=row.pk).update(account=account)
