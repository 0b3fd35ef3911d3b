"""An exchange's limits are kept by all processes of one address together: at most 80 % of what it
publishes goes out, what others used up before included, and whether or not it says what is used;
where others use up more meanwhile, at most what is under way comes on top, and nothing is refused;
nothing is sent while it asks for a pause, and nothing in a ban.

Two commands warm two rows that lead to one sandbox, at the same time, and every call that arrives
there is noted. Counted is what had arrived, of whomever, when a call of ours came: within any 60
seconds, and within a minute of the exchange's own where others call meanwhile. Of these its answers
alone tell, which don't tell of the calls that are under way then: 30 of each process. What was on
its way when a pause or a ban began may arrive within its first second.
`tests/exchanges/rest/pacing/test_weight.py`, `tests/exchanges/rest/pacing/test_batch.py` and
`tests/exchanges/rest/test_client.py` show single steps of it in every run of the tests.
"""

import threading
from collections import Counter, deque
from contextlib import contextmanager
from typing import NamedTuple

import pytest
import requests

from exchanges.sandbox.binance.rest import BinanceRest
from exchanges.sandbox.coinbase.rest import CoinbaseRest
from exchanges.sandbox.market.listings import TRADING
from exchanges.sandbox.symbols import listings
from exchanges.venues.binance.rest import WORKERS
from tests.experiments.outcome import Outcome, faults_of
from tests.warmup.runners import SYMBOLS, make_row, processes, serve, wait_until

QUICK = {"kinds": ["unsaid"]}
# Binance.US's, the least of the family. Of a smaller one, the calls that are under way at once
# (30 a process, of a weight of 2) would be no small share.
WEIGHT_A_MINUTE = 1200
CALLS_A_SECOND = 10
UNDER_WAY_WEIGHT = 2 * WORKERS * 2
# How long it is, how much fits in, and the share that may be used of it. That is what is promised,
# not what the code happens to say. Coinbase publishes no limit to keep a distance from, five calls
# a second are half of what it is known to allow.
WINDOWS = {
    "minute": (60_000, WEIGHT_A_MINUTE, 0.8),
    "minute of the exchange": (None, WEIGHT_A_MINUTE, 0.8 + UNDER_WAY_WEIGHT / WEIGHT_A_MINUTE),
    "second": (1000, CALLS_A_SECOND, 1.0),
}
OTHERS_CALLS = 20  # of a weight of 20 each: a third of the limit
OTHERS_PATH, OTHERS_LATER_CALLS, OURS_BETWEEN = "ticker/24hr", 5, 40  # of 80 each: a third, too
PAUSE_SECONDS, BAN_SECONDS = 4, 15
SILENCE_SECONDS = 5  # of a ban that does not say how long it is: two minutes, says the client
ON_ITS_WAY_MS = 1000
# Where a pause or a ban is to meet a warmup that is under way, and no limit is.
UNDER_WAY = {"latency_ms": 100, "weight_limit": 6000}
CALLS_BEFORE = 30
LONGEST_SECONDS = 240
LISTED = listings(50)  # two rows of them weigh as much as a minute allows
TRADED = [one.symbol for one in LISTED if one.status == TRADING and one.is_on("binance")]


def run(redis, folder, kinds=None):
    numbers, faults = {}, []
    for kind in kinds or KINDS:
        redis.flushall()
        with processes() as manage:
            faults += faults_of(kind, KINDS[kind], manage, numbers)
    return Outcome(
        " ".join(KINDS[kind].__doc__ for kind in kinds or KINDS)
        + f" The sandbox publishes a weight of {WEIGHT_A_MINUTE} a minute (Binance), or allows "
        f"{CALLS_A_SECOND} calls a second (Coinbase).",
        numbers,
        faults,
    )


class Arrival(NamedTuple):
    """A call that arrived: when by the sandbox's clock, what it weighs, and whether it is ours."""

    at_ms: int
    weight: int
    is_ours: bool = True


class Address:
    """Two rows that lead to one sandbox, and all that arrives there."""

    def __init__(self, sandbox, manage, arrivals, names):
        self.sandbox, self.arrivals = sandbox, arrivals
        self._manage, self._names = manage, names

    def start(self):
        """Start to warm both rows; return the processes."""
        return [self._manage("warmup", name) for name in self._names]

    def busiest(self, window_ms):
        """Return the largest weight that arrived within so many milliseconds up to one of ours."""
        recent, weight, most = deque(), 0, 0
        for arrival in self.arrivals:
            recent.append(arrival)
            weight += arrival.weight
            while recent[0].at_ms <= arrival.at_ms - window_ms:
                weight -= recent.popleft().weight
            if arrival.is_ours:
                most = max(most, weight)
        return most

    def busiest_minute(self):
        """Return the same of the exchange's own minutes, as it counts itself."""
        weights, most = Counter(), 0
        for arrival in self.arrivals:
            minute = arrival.at_ms // 60_000
            weights[minute] += arrival.weight
            if arrival.is_ours:
                most = max(most, weights[minute])
        return most

    def wait_for_calls(self, count):
        """Wait until so many calls for candles arrived."""
        wait_until(lambda: len(self.sandbox.requests.candles) >= count, LONGEST_SECONDS)

    def refuse(self, status, seconds):
        """Refuse what comes at one moment of a warmup under way; return when that was.

        `seconds` is how long nothing shall come, by the answer; None leaves it unsaid.
        """
        self.wait_for_calls(CALLS_BEFORE)
        fault = self.sandbox.faults.add("status", status=status, retry_after=seconds)
        wait_until(lambda: any(each.status == status for each in self.sandbox.requests.candles))
        self.sandbox.faults.remove(fault)
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
        for rest in (BinanceRest, CoinbaseRest):
            patch.setattr(rest, "admit", _noting(rest.admit, arrivals, told))
        usual = {"speed": 1, "listings": LISTED, "weight_limit": WEIGHT_A_MINUTE}
        with serve(**usual | settings) as sandbox:
            for name in names:
                make_row(sandbox, name, symbols, **row or {})
            yield Address(sandbox, manage, arrivals, names)


def _noting(admit, arrivals, told):
    def noting(self, endpoint, call):
        is_ours = not endpoint.path.endswith(OTHERS_PATH)
        arrivals.append(Arrival(call.now_ms, endpoint.weight(call), is_ours))
        headers = admit(self, endpoint, call)
        return headers if told else {}

    return noting


def ended(process, status, text=""):
    """Wait for a command; yield what is wrong with its end."""
    _, said = process.communicate(timeout=LONGEST_SECONDS)
    if process.returncode != status or text not in said or "Traceback" in said:
        yield f"it ended with {process.returncode} and said {said}"


def both(manage, numbers):
    """Warm both rows, with nobody else at the address."""
    with address(manage, "sandbox", "binance") as one:
        yield from _keep_limit(one, "minute", numbers, "weight of two warmups")


def untold(manage, numbers):
    """The same, where no answer says what weight is used."""
    with address(manage, "sandbox", "binance", told=False) as one:
        yield from _keep_limit(
            one, "minute", numbers, "weight of two warmups that are told nothing"
        )


def others(manage, numbers):
    """The same, after another program used up a third of the limit."""
    with address(manage, "sandbox", "binance") as one:
        for _ in range(OTHERS_CALLS):
            requests.get(f"{one.sandbox.url}/api/v3/exchangeInfo", timeout=10)
        yield from _keep_limit(one, "minute", numbers, "weight of two warmups and another program")


def shrinking(manage, numbers):
    """The same, while another program uses up a third of the limit, a little at a time."""
    with address(manage, "sandbox", "binance") as one:

        def use_up():
            for number in range(OTHERS_LATER_CALLS):
                one.wait_for_calls((number + 1) * OURS_BETWEEN)
                requests.get(f"{one.sandbox.url}/api/v3/{OTHERS_PATH}", timeout=10)

        thread = threading.Thread(target=use_up, daemon=True)
        thread.start()
        what = "weight of two warmups and another program meanwhile"
        yield from _keep_limit(one, "minute of the exchange", numbers, what)
        thread.join(10)
        called = sum(not each.is_ours for each in one.arrivals)
        if called != OTHERS_LATER_CALLS:
            yield f"the other program called {called} times, so this shows nothing"


def batches(manage, numbers):
    """Warm two rows of Coinbase, which publishes no limit: five calls, then a second."""
    row = {"batch_size": 5, "batch_delay_ms": 1000}
    settings = {"symbols": SYMBOLS, "row": row, "coinbase_rate": CALLS_A_SECOND}
    with address(manage, "coinbase", "coinbase_two", **settings) as one:
        one.arrivals.clear()
        yield from _keep_limit(one, "second", numbers, "calls of two warmups")


def _keep_limit(one, window, numbers, what):
    """Warm both rows; yield where that was more than its share of a limit, or nowhere near it."""
    for process in one.start():
        yield from ended(process, 0)
    window_ms, limit, share = WINDOWS[window]
    busiest = one.busiest(window_ms) if window_ms else one.busiest_minute()
    numbers[f"{what}: within a {window} at the most, of {limit:,}"] = busiest
    if not share * limit / 2 <= busiest <= share * limit:
        yield f"{busiest} within a {window} at the most"
    if refused := [each for each in one.sandbox.requests.candles if each.status != 200]:
        yield f"{len(refused)} calls were refused, the first with {refused[0].status}"


def paused(manage, numbers):
    """Answer 429 in the middle, with a time to wait: both wait, and go on."""
    with address(manage, "sandbox", "binance", **UNDER_WAY) as one:
        processes = one.start()
        began_ms = one.refuse(429, PAUSE_SECONDS)
        yield from one.faults_of_silence(began_ms, PAUSE_SECONDS)
        for process in processes:
            yield from ended(process, 0)
        refused = [each for each in one.sandbox.requests.candles if each.status == 429]
        numbers["calls that met the pause"] = len(refused)


def banned(manage, numbers):
    """Answer 418 in the middle: both end, and nobody calls until the ban is over."""
    with address(manage, "sandbox", "binance", **UNDER_WAY) as one:
        yield from _ban(one, BAN_SECONDS, BAN_SECONDS, numbers, "calls that met the ban")
        for process in one.start():
            yield from ended(process, 0)


def unsaid(manage, numbers):
    """The same, where no answer says how long the ban is."""
    with address(manage, "sandbox", "binance", **UNDER_WAY) as one:
        what = "calls that met the ban of which no length is said"
        yield from _ban(one, None, SILENCE_SECONDS, numbers, what)


def _ban(one, said_seconds, seconds, numbers, what):
    """Ban two warmups under way; yield what did not end, or called within so many seconds."""
    processes = one.start()
    began_ms = one.refuse(418, said_seconds)
    for process in processes + one.start():
        yield from ended(process, 1, "banned this address until")
    if said_seconds:
        now_ms = one.sandbox.clock.now_ms()
        assert now_ms < began_ms + 1000 * said_seconds, "this machine is too slow for it"
    yield from one.faults_of_silence(began_ms, seconds)
    refused = [each for each in one.sandbox.requests.candles if each.status == 418]
    numbers[what] = len(refused)


KINDS = {
    "both": both,
    "untold": untold,
    "others": others,
    "shrinking": shrinking,
    "batches": batches,
    "paused": paused,
    "banned": banned,
    "unsaid": unsaid,
}
