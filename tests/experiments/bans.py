"""An exchange's limits are kept by all processes of one address together: at most 80 % of what it
publishes goes out, however much of it others use up and whether or not it says what is used;
nothing is sent while it asks for a pause, and nothing in a ban.

Two commands warm two rows that lead to one sandbox, at the same time, and every call that arrives
there is noted. What was on its way when a pause or a ban began may arrive within its first second.
`tests/exchanges/test_pacing.py` and `tests/exchanges/test_rest_client.py` show single steps of it
in every run of the tests.
"""

from collections import deque
from contextlib import contextmanager
from typing import NamedTuple

import pytest
import requests

from exchanges.pacing import SHARE_OF_LIMIT
from exchanges.sandbox.binance import Binance
from exchanges.sandbox.coinbase import Coinbase
from exchanges.sandbox.listings import BINANCE, TRADING, listings
from tests.experiments.outcome import Outcome, faults_of
from tests.warmup.live import SYMBOLS, make_row, processes, serve, wait_until

QUICK = {"kinds": ["banned"]}
# Binance.US's, the least of the family. Of a smaller one, the calls that are under way at once
# (24 a process, of a weight of 2) would be no small share.
WEIGHT_A_MINUTE = 1200
CALLS_A_SECOND = 10
# How long it is, how much fits in, and the share that may be used of it: Coinbase publishes no
# limit to keep a distance from, five calls a second are half of what it is known to allow.
WINDOWS = {
    "minute": (60_000, WEIGHT_A_MINUTE, SHARE_OF_LIMIT),
    "second": (1000, CALLS_A_SECOND, 1.0),
}
OTHERS_CALLS = 20  # of a weight of 20 each: a third of the limit
PAUSE_SECONDS, BAN_SECONDS = 4, 8
ON_ITS_WAY_MS = 1000
# Where a pause or a ban is to meet a warmup that is under way, and no limit is.
UNDER_WAY = {"latency_ms": 100, "weight_limit": 6000}
CALLS_BEFORE = 30
LONGEST_SECONDS = 240
LISTED = listings(50)  # two rows of them weigh as much as a minute allows
TRADED = [one.symbol for one in LISTED if one.status == TRADING and BINANCE in one.protocols]


def run(redis, folder, kinds=None):
    figures, faults = {}, []
    for kind in kinds or KINDS:
        redis.flushall()
        with processes() as manage:
            faults += faults_of(kind, KINDS[kind], manage, figures)
    return Outcome(
        " ".join(KINDS[kind].__doc__ for kind in kinds or KINDS)
        + f" The sandbox publishes a weight of {WEIGHT_A_MINUTE} a minute (Binance), or allows "
        f"{CALLS_A_SECOND} calls a second (Coinbase).",
        figures,
        faults,
    )


class Arrival(NamedTuple):
    """A call that arrived: when by the sandbox's clock, and what it weighs."""

    at_ms: int
    weight: int


class Address:
    """Two rows that lead to one sandbox, and all that arrives there."""

    def __init__(self, sandbox, manage, arrivals, names):
        self.sandbox, self.arrivals = sandbox, arrivals
        self._manage, self._names = manage, names

    def start(self):
        """Start to warm both rows; return the processes."""
        return [self._manage("warmup", name) for name in self._names]

    def busiest(self, window_ms):
        """Return the largest weight that arrived within so many milliseconds."""
        recent, weight, most = deque(), 0, 0
        for arrival in self.arrivals:
            recent.append(arrival)
            weight += arrival.weight
            while recent[0].at_ms <= arrival.at_ms - window_ms:
                weight -= recent.popleft().weight
            most = max(most, weight)
        return most

    def refuse(self, kind, seconds):
        """Refuse what comes at one moment of a warmup under way; return when that was."""
        wait_until(lambda: len(self.sandbox.requests.candles) >= CALLS_BEFORE, LONGEST_SECONDS)
        self.sandbox.scenarios.add(kind, retry_after=seconds)
        wait_until(lambda: any(each.status in (418, 429) for each in self.sandbox.requests.candles))
        self.sandbox.scenarios.clear()
        return self.sandbox.clock.now_ms()

    def faults_of_silence(self, since_ms, seconds):
        """Yield what arrived although nothing was to come for so many seconds."""
        until_ms = since_ms + 1000 * seconds
        wait_until(lambda: self.sandbox.clock.now_ms() > until_ms, LONGEST_SECONDS)
        early = [
            each.at_ms - since_ms for each in self.arrivals if since_ms < each.at_ms < until_ms
        ]
        if late := [ms for ms in early if ms > ON_ITS_WAY_MS]:
            yield f"calls arrived {late} ms after it had begun"


@contextmanager
def address(manage, *names, told=True, symbols=TRADED, row=None, **settings):
    """Serve two rows, and note every call; where not `told`, no answer says what weight is used."""
    arrivals = []
    with pytest.MonkeyPatch.context() as patch:
        for venue in (Binance, Coinbase):
            patch.setattr(venue, "_admit", _noting(venue._admit, arrivals, told))
        usual = {"speed": 1, "listings": LISTED, "weight_limit": WEIGHT_A_MINUTE}
        with serve(**usual | settings) as sandbox:
            for name in names:
                make_row(sandbox, name, symbols, **row or {})
            yield Address(sandbox, manage, arrivals, names)


def _noting(admit, arrivals, told):
    def noting(self, endpoint, call):
        arrivals.append(Arrival(call.now_ms, endpoint.weight(call)))
        headers = admit(self, endpoint, call)
        return headers if told else {}

    return noting


def ended(process, status, text=""):
    """Wait for a command; yield what is wrong with its end."""
    _, said = process.communicate(timeout=LONGEST_SECONDS)
    if process.returncode != status or text not in said or "Traceback" in said:
        yield f"it ended with {process.returncode} and said {said}"


def both(manage, figures):
    """Warm both rows, with nobody else at the address."""
    with address(manage, "sandbox", "binance") as one:
        yield from _keep_limit(one, "minute", figures, "weight of two warmups")


def untold(manage, figures):
    """The same, where no answer says what weight is used."""
    with address(manage, "sandbox", "binance", told=False) as one:
        yield from _keep_limit(
            one, "minute", figures, "weight of two warmups that are told nothing"
        )


def others(manage, figures):
    """The same, after another program used up a third of the limit."""
    with address(manage, "sandbox", "binance") as one:
        for _ in range(OTHERS_CALLS):
            requests.get(f"{one.sandbox.url}/api/v3/exchangeInfo", timeout=10)
        yield from _keep_limit(one, "minute", figures, "weight of two warmups and another program")


def batches(manage, figures):
    """Warm two rows of Coinbase, which publishes no limit: five calls, then a second."""
    row = {"batch_size": 5, "batch_delay_ms": 1000}
    settings = {"symbols": SYMBOLS, "row": row, "coinbase_rate": CALLS_A_SECOND}
    with address(manage, "coinbase", "coinbase_two", **settings) as one:
        one.arrivals.clear()
        yield from _keep_limit(one, "second", figures, "calls of two warmups")


def _keep_limit(one, window, figures, what):
    """Warm both rows; yield where that was more than its share of a limit, or nowhere near it."""
    for process in one.start():
        yield from ended(process, 0)
    window_ms, limit, share = WINDOWS[window]
    busiest = one.busiest(window_ms)
    figures[f"{what}: within a {window} at the most, of {limit:,}"] = busiest
    if not share * limit / 2 <= busiest <= share * limit:
        yield f"{busiest} within a {window} at the most"
    if refused := [each for each in one.sandbox.requests.candles if each.status != 200]:
        yield f"{len(refused)} calls were refused, the first with {refused[0].status}"


def paused(manage, figures):
    """Answer 429 in the middle, with a time to wait: both wait, and go on."""
    with address(manage, "sandbox", "binance", **UNDER_WAY) as one:
        processes = one.start()
        began_ms = one.refuse("rest_429", PAUSE_SECONDS)
        yield from one.faults_of_silence(began_ms, PAUSE_SECONDS)
        for process in processes:
            yield from ended(process, 0)
        refused = [each for each in one.sandbox.requests.candles if each.status == 429]
        figures["calls that met the pause"] = len(refused)


def banned(manage, figures):
    """Answer 418 in the middle: both end, and nobody calls until the ban is over."""
    with address(manage, "sandbox", "binance", **UNDER_WAY) as one:
        processes = one.start()
        began_ms = one.refuse("rest_418", BAN_SECONDS)
        for process in processes + one.start():
            yield from ended(process, 1, "banned this address until")
        now_ms = one.sandbox.clock.now_ms()
        assert now_ms < began_ms + 1000 * BAN_SECONDS, "this machine is too slow for it"
        yield from one.faults_of_silence(began_ms, BAN_SECONDS)
        refused = [each for each in one.sandbox.requests.candles if each.status == 418]
        figures["calls that met the ban"] = len(refused)
        for process in one.start():
            yield from ended(process, 0)


KINDS = {
    "both": both,
    "untold": untold,
    "others": others,
    "batches": batches,
    "paused": paused,
    "banned": banned,
}
