"""Whatever goes wrong, `strict` hands out what is complete and fresh, or nothing."""

import threading
from contextlib import ExitStack
from itertools import cycle, product

import livermore_reader
import pytest
from livermore_reader import ReaderError

from exchanges.redis.directory import publish_exchanges
from exchanges.sandbox.faults.faults import KINDS as REST_FAULTS
from exchanges.sandbox.faults.scenario import KINDS, OF_A_SYMBOL
from livermore.market.timeframe import Timeframe
from serving.candles.derived import join
from tests.conftest import SERVER
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

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]

SPEED = 60  # a minute of the exchange takes a second
GRACE_MS = 5_000  # for which a bar that has ended may be on its way
BEHIND_MS = 2_000 * SPEED  # the time that is told may be, where this machine is busy
SYMBOLS = ["BTC-USD", "ETH-USD"]
# Of one that does not trade the sandbox's truth goes with the scenario: another one that is kept.
IDLE, UNTRADED = "SOL-USD", {"halted", "delisted", "renamed"}
TIMEFRAMES = ["1m", "3m", "5m"]
LASTS_MS = 80_000  # of the exchange's time
OF_A_PROXY = {"proxy_refuse", "proxy_silence"}  # nobody here has one
HOW = {
    "holes": {"chance": 0.3},
    "late": {"seconds": 30},
    "slow": {"seconds": 2},
    "time": {"ms": 300_000},
}
SECONDS_BETWEEN = 0.02  # what is asked
THREE_MS = 3 * MINUTE_MS
TIMES = ["rest_time", "time"]  # are believed for a while: nothing follows them
KINDS_APART = [each for each in KINDS if each not in OF_A_PROXY | {*TIMES}]
FAULTS_APART = [each for each in REST_FAULTS if each not in TIMES]
PARTS = [KINDS_APART[::2], KINDS_APART[1::2] + TIMES[:1], FAULTS_APART + TIMES[1:]]


class Asking:
    """Asks one way about one exchange again and again, in a thread, and compares with the truth."""

    def __init__(self, url, sandbox, row):
        self._sandbox, self._row = sandbox, row
        self.faults, self.handed_out, self.refused = [], 0, 0
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
        self.handed_out += 1
        told_ms = self._sandbox.clock.now_ms()
        which = f"{self._row.name} {symbol} {timeframe}, asked at {asked_ms}, told at {told_ms}"
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


def put_in_force(sandbox, kind):
    """Let something go wrong, and closes be lost where it is REST that is to be asked for them."""
    how = {"symbol": IDLE if kind in UNTRADED else "ETH-USD"} if kind in OF_A_SYMBOL else {}
    if kind in REST_FAULTS:
        sandbox.faults.add(kind, **HOW.get(kind, {}))
    else:
        sandbox.scenarios.add(kind, **how)
    if kind in REST_FAULTS or kind.startswith("rest_") or kind == "slow":
        sandbox.scenarios.add("missing_close", chance=0.5)


@pytest.mark.parametrize("kinds", PARTS, ids=["streams", "streams too", "rest"])
def test_what_strict_hands_out_is_complete_and_fresh(redis, monkeypatch, kinds):
    hurry(monkeypatch)
    with ExitStack() as opened:
        sandbox = opened.enter_context(serve(speed=SPEED, start_ms=MIDNIGHT_MS - 50_000))
        rows = [make_row(sandbox, name, [*SYMBOLS, IDLE]) for name in ("sandbox", "coinbase")]
        publish_exchanges(redis)
        for row in rows:
            opened.enter_context(running(redis, row, [*SYMBOLS, IDLE]))
        urls = [SERVER.url, opened.enter_context(served(redis))]
        asking = []
        for row in rows:
            for url in urls:
                asking.append(Asking(url, sandbox, row))
                opened.callback(asking[-1].end)
        wait_until_handed_out(asking)
        for kind in kinds:
            put_in_force(sandbox, kind)
            wait_for_time(sandbox, sandbox.clock.now_ms() + LASTS_MS)
            sandbox.scenarios.clear()
            sandbox.faults.clear()
            wait_until_handed_out(asking)
            assert [each.faults[:3] for each in asking if each.faults] == [], kind
    assert sum(each.refused for each in asking)


def wait_until_handed_out(asking):
    """Wait until each gets what it asks for: what went wrong is over."""
    counts = [each.handed_out for each in asking]
    wait_until(lambda: all(each.handed_out > n for each, n in zip(asking, counts, strict=True)), 60)
