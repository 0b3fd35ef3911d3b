"""Twenty bots that read one address are told nothing that is not so, whatever becomes of the
exchange, of Redis and of Livermore's own processes: each candle is equal to the sandbox's truth,
none is missing, early or stale in an answer; what can't be told is refused with 503; and no 429 and
no ban of the exchange reaches any of them.

`serve` runs in two processes, and two agents keep an exchange of each protocol live, for an hour of
accelerated time. Some bots ask for klines a few times a second, of timeframes that are kept and of
some that are made, for the newest and for stretches of the past; some have the answer held until a
bar is in; some use ccxt, others Coinbase's protocol, `/v1/candles`, WebSockets, or `/v1/events` by
`Last-Event-ID`. Meanwhile sockets of the exchange are cut and fall silent, it asks for pauses and
bans the address, agents are killed, moved and restarted, `serve` and one of its processes are
killed and restarted, and Redis is restarted. A bar counts as closed for a bot when it had ended
half a second (of this machine) before it asked: so late the exchange's time may be known. A
newest bar that is missing for more than five seconds of the exchange's time beyond that is a fault,
and so is a connection that fails while `serve` is not being restarted. What a socket was not told
has to be among the events that say that they are late. `tests/experiments/bots/test_checks.py`
holds each check against an answer that is false.
"""

import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

import orjson
import pytest

from exchanges.models import Exchange
from livermore.market import keys
from serving.models import ApiClient
from tests.experiments.bots.fleet import Fleet
from tests.experiments.bots.installation import HANDOVER_SECONDS, Installation
from tests.experiments.bots.truth import ExchangeTime
from tests.experiments.outcome import Outcome
from tests.warmup.live.redis_away import OwnRedis
from tests.warmup.runners import (
    MIDNIGHT_MS,
    MINUTE_MS,
    chosen,
    make_row,
    serve,
    wait_for_time,
)

QUICK = {"minutes": 6, "disturbances": ["cut", "restart_serve"]}
NAMES = ("sandbox", "coinbase")
SYMBOLS = {"sandbox": ["BTC-USD", "ETH-USD", "SOL-USD"], "coinbase": ["BTC-USD", "ETH-USD"]}
RECOVERY_SECONDS = 15.0  # once all is streamed again, for what was missed to be known
CUT_MARGIN_SECONDS = 3.0
QUIET_MINUTES = 4  # of the exchange's time, in the end
LONGEST_WAIT_SECONDS = 600
NOT_TOLD = "the exchange did not tell them"
REASONS_SHOWN = 12


class Disturbance(NamedTuple):
    """Something that is done while bots read, in words too."""

    said: str
    do: Callable[[Installation, object], object]


def fleet(token: str) -> list[list[dict]]:
    """Return the bots, a list for each process."""

    def bot(kind: str, name: str, exchange: str = "sandbox", **more: object) -> dict:
        return {"kind": kind, "name": name, "exchange": exchange} | more

    def of(symbol: str, interval: str) -> dict:
        return {"symbol": symbol, "interval": interval}

    return [
        [
            bot("Poller", "klines 1m", **of("BTC-USD", "1m")),
            bot("Poller", "klines 5m", **of("ETH-USD", "5m"), limit=500, every=0.7),
            bot("Poller", "klines 1d", **of("SOL-USD", "1d"), limit=30, every=1.1),
            bot("Poller", "klines 3m, made", **of("BTC-USD", "3m"), limit=40),
            bot("Poller", "klines 30m, made", **of("ETH-USD", "30m"), limit=40, every=0.9),
            bot("Poller", "klines 12h, made, with a token", **of("SOL-USD", "12h"), limit=20,
                every=1.3, token=token),
            bot("Waiter", "klines 1m, held", **of("ETH-USD", "1m"), limit=20),
            bot("Waiter", "klines 5m, held", **of("BTC-USD", "5m"), limit=20, token=token),
        ],
        [
            bot("Historian", "stretches of 1m", **of("SOL-USD", "1m"), every=0.5),
            bot("Historian", "stretches of 15m", **of("BTC-USD", "15m"), every=0.8),
            bot("Poller", "klines 1m of Coinbase", "coinbase", **of("BTC-USD", "1m")),
            bot("CoinbasePoller", "candles 5m in Coinbase's protocol", "coinbase",
                **of("ETH-USD", "5m"), limit=60),
            bot("NativePoller", "/v1/candles 1m, with a token", **of("ETH-USD", "1m"), limit=60,
                token=token),
            bot("NativePoller", "/v1/candles 1m of Coinbase", "coinbase", **of("ETH-USD", "1m"),
                limit=60),
            bot("CcxtBot", "ccxt 1m", **of("SOL-USD", "1m"), limit=60),
            bot("CcxtBot", "ccxt 15m, with a token", **of("ETH-USD", "15m"), every=1.1,
                token=token),
        ],
        [
            bot("CcxtProBot", "ccxt.pro 1m", **of("BTC-USD", "1m")),
            bot("SocketBot", "socket, five streams", pairs=[
                ["BTC-USD", "1m"], ["ETH-USD", "1m"], ["SOL-USD", "1m"], ["BTC-USD", "5m"],
                ["ETH-USD", "15m"]]),
            bot("SocketBot", "socket of Coinbase, with a token", "coinbase",
                pairs=[["BTC-USD", "1m"], ["ETH-USD", "5m"]], token=token),
            bot("EventBot", "events"),
            bot("EventBot", "events of Coinbase, with a token", "coinbase",
                timeframes=["1m", "5m"], token=token),
        ],
    ]  # fmt: skip


EXCHANGE_OF = {bot["name"]: bot["exchange"] for group in fleet("") for bot in group}


def run(redis, folder, minutes=60, speed=10, disturbances=None):
    kinds = list(DISTURBANCES) if disturbances is None else disturbances
    listings = chosen([name for names in SYMBOLS.values() for name in names])
    begins_ms = MIDNIGHT_MS - minutes * MINUTE_MS // 2
    with (
        pytest.MonkeyPatch.context() as patch,
        OwnRedis(folder) as own_redis,
        own_redis.client() as client,
        serve(start_ms=begins_ms, speed=speed, listings=listings) as sandbox,
    ):
        patch.setenv("REDIS_URL", own_redis.server.url)
        patch.setenv("LIVERMORE_HANDOVER_SECONDS", str(HANDOVER_SECONDS))
        rows = [make_row(sandbox, n, SYMBOLS[n], wanted=Exchange.Wanted.RUNNING) for n in NAMES]
        trial = Trial(Installation(client, own_redis, rows), sandbox)
        try:
            found = trial.run(minutes, kinds)
            faults = [*trial.faults_of(found, late_closes(client, rows)), *trial.end()]
        finally:
            trial.kill()
    return Outcome(
        f"{trial.bots} bots for {minutes} minutes of the exchange's time, of which {speed} went by "
        f"in one of ours. Meanwhile {', '.join(DISTURBANCES[each].said for each in kinds)}.",
        trial.numbers,
        faults,
    )


class Trial:
    """The bots, and what is done while they read."""

    def __init__(self, installation: Installation, sandbox):
        self._installation, self._sandbox = installation, sandbox
        self._fleet: Fleet | None = None
        self._done: list[tuple[str, float, float]] = []  # what, from when to when, monotonic
        self.bots = 0
        self.numbers: dict = {}

    def run(self, minutes: float, kinds: list[str]) -> list[dict]:
        """Return what the bots found while all of that was done, one after the other."""
        self._installation.begin()
        self._fleet = self._begin_bots()
        clock, requests = self._sandbox.clock, self._sandbox.requests
        began_at, began_ms, calls = time.monotonic(), clock.now_ms(), requests.counts.total()
        slot_ms = (minutes - QUIET_MINUTES) * MINUTE_MS / max(1, len(kinds))
        for number, kind in enumerate(kinds):
            self._wait(began_ms + slot_ms * (number + 0.2))
            began = time.monotonic()
            DISTURBANCES[kind].do(self._installation, self._sandbox)
            self._installation.wait_until_live()
            self._done.append((kind, began, time.monotonic()))
        self._wait(began_ms + minutes * MINUTE_MS)
        self.numbers["seconds"] = round(time.monotonic() - began_at)
        calls = requests.counts.total() - calls
        refused = sum(each.status in (418, 429) for each in requests.candles)
        found = self._fleet.end()
        self.numbers |= numbers_of(found) | {
            "calls at the exchange meanwhile": calls,
            "candle calls that it answered with 429 or 418": refused,
            "503 while nothing was disturbed": len(self._refused_for_nothing(found)),
        }
        return found

    def end(self) -> Iterator[str]:
        return self._installation.end()

    def kill(self) -> None:
        if self._fleet:
            self._fleet.kill()
        self._installation.kill()

    def faults_of(self, found: list[dict], late: dict[str, set]) -> Iterator[str]:
        """Yield what is wrong with what bots found; `late` are closes, by exchange."""
        for each in found:
            name = each["name"]
            yield from (f"{name}: {text}" for text in each["faults"])
            if (more := each["fault_count"] - len(each["faults"])) > 0:
                yield f"{name}: and {more} more"
            if not each["answers"] and not each["closes"]:
                yield f"{name}: it was told nothing at all"
            for at in each["cuts"]:
                if not self._was_restarted(at):
                    yield f"{name}: a connection failed, {each['cut_by']}, {self._when(at)}"
            for told in map(tuple, each["skipped"]):
                if told not in late[EXCHANGE_OF[name]]:
                    yield f"{name}: {' '.join(map(str, told))} was not told, and is not late"
        for name, at in self._refused_for_nothing(found):
            yield f"{name}: 503 while nothing was wrong, {self._when(at)}"

    def _begin_bots(self) -> Fleet:
        client = ApiClient(name="twenty", requests_per_second=1000, sockets=20)
        token = client.new_token()
        client.save()
        groups = fleet(token)
        self.bots = sum(map(len, groups))
        clock = self._sandbox.clock
        told = ExchangeTime(clock._origin_ms, clock._started, clock.speed)
        begun = Fleet(
            {
                "url": self._installation.url,
                "sandbox": self._sandbox.url,
                "time": told._asdict(),
            },
            groups,
        )
        begun.wait_until_begun()
        return begun

    def _wait(self, time_ms: float) -> None:
        wait_for_time(self._sandbox, time_ms, LONGEST_WAIT_SECONDS)

    def _refused_for_nothing(self, found: list[dict]) -> list[tuple[str, float]]:
        """Return which bots were refused something while nothing was wrong, and when.

        But for what Coinbase does not tell yet: a newest bar that may still grow is none there.
        """
        windows = [(began, ended + RECOVERY_SECONDS) for _, began, ended in self._done]
        return [
            (each["name"], at)
            for each in found
            for at, why in each["refusals"]
            if not any(began <= at <= ended for began, ended in windows)
            and not (EXCHANGE_OF[each["name"]] == "coinbase" and why == NOT_TOLD)
        ]

    def _was_restarted(self, at: float) -> bool:
        windows = self._installation.serve_away
        return any(began <= at <= ended + CUT_MARGIN_SECONDS for began, ended in windows)

    def _when(self, at: float) -> str:
        """Return behind which disturbance a moment was."""
        before = [(kind, began) for kind, began, _ in self._done if began <= at]
        if not before:
            return "before anything was done"
        kind, began = before[-1]
        return f"{at - began:.1f} s after {kind} began"


def numbers_of(found: list[dict]) -> dict:
    """Return what is counted over all bots."""

    def total(name: str) -> int:
        return sum(each[name] for each in found)

    refused = sum((Counter(each["refused"]) for each in found), Counter())
    longest = max(found, key=lambda each: each["longest_outage"])
    return {
        "answers with candles": total("answers"),
        "candles in answers, frames and events": total("rows"),
        "closes told to sockets and to readers of events": total("closes"),
        "answers for which something was fetched": total("fetched"),
        "429 and 418 that reached a bot": total("limited"),
        "answers with 503": refused.total(),
        **{f"503: {text}": count for text, count in refused.most_common(REASONS_SHOWN)},
        "connections that failed": sum(len(each["cuts"]) for each in found),
        "closes that a socket was not told, as they were healed late": sum(
            len(each["skipped"]) for each in found
        ),
        "events that said that they were late": total("late"),
        "events that said that they may have been told": total("again"),
        "newest bar missing in an answer, ms of the exchange after its end, at the most": max(
            each["latest_ms"] for each in found
        ),
        "bar shown as open, ms of the exchange after its end, at the most": max(
            each["open_latest_ms"] for each in found
        ),
        "longest outage that a bot saw, in seconds of ours": round(longest["longest_outage"], 1),
        "which bot that was": longest["name"],
    }


def late_closes(redis, rows) -> dict[str, set]:
    """Return the closes of each exchange that were told behind later ones, or again."""
    found = {}
    for row in rows:
        told = [orjson.loads(each[b"event"]) for _, each in redis.xrange(keys.events(row.pk))]
        found[row.name] = {
            (each["symbol"], each["timeframe"], each["timestamp"])
            for each in told
            if each.get("late") or each.get("again")
        }
    return found


def _cut(sandbox, seconds: float) -> None:
    sandbox.scenarios.add("refuse")
    sandbox.scenarios.add("drop")
    time.sleep(seconds)
    sandbox.scenarios.clear()


def _refuse(sandbox, status: int, seconds: int) -> None:
    fault = sandbox.faults.add("status", status=status, retry_after=seconds)
    time.sleep(seconds)
    sandbox.faults.remove(fault)


def _ban_while_cut(sandbox) -> None:
    fault = sandbox.faults.add("status", status=418, retry_after=8)
    _cut(sandbox, 8)
    sandbox.faults.remove(fault)


def _silence(sandbox) -> None:
    sandbox.scenarios.add("silence")
    time.sleep(6)
    sandbox.scenarios.clear()


DISTURBANCES = {
    "cut": Disturbance(
        "the exchange's sockets were cut for 3 s", lambda here, there: _cut(there, 3)
    ),
    "hold": Disturbance(
        "it asked for a pause of 5 s (429)", lambda here, there: _refuse(there, 429, 5)
    ),
    "kill_agent": Disturbance(
        "the agent that ran it was killed, and another one took over",
        lambda here, there: here.kill_agent(),
    ),
    "restart_serve": Disturbance(
        "`serve` was restarted", lambda here, there: here.restart_serve(signal.SIGTERM)
    ),
    "ban": Disturbance(
        "the exchange banned the address for 8 s (418)", lambda here, there: _refuse(there, 418, 8)
    ),
    "restart_redis": Disturbance("Redis was restarted", lambda here, there: here.restart_redis(1)),
    "move": Disturbance(
        "the agent was ended, and another one went on without a gap",
        lambda here, there: here.move(),
    ),
    "kill_worker": Disturbance(
        "one process of `serve` was killed", lambda here, there: here.kill_worker()
    ),
    "ban_while_cut": Disturbance(
        "the exchange banned the address and cut its sockets for 8 s",
        lambda here, there: _ban_while_cut(there),
    ),
    "restart_agents": Disturbance(
        "all agents were restarted", lambda here, there: here.restart_agents(2)
    ),
    "silence": Disturbance("the sockets fell silent for 6 s", lambda here, there: _silence(there)),
    "kill_serve": Disturbance(
        "`serve` was killed and begun again", lambda here, there: here.restart_serve(signal.SIGKILL)
    ),
}
