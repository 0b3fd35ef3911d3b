"""What may be wrong with an installation, each begun, told of, put right, and told to be over."""

import shutil
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import NamedTuple

import orjson
from django.db import connection, transaction

from exchanges.models import Exchange, Symbol
from exchanges.symbols.fetch_listing import fetch_listing
from livermore.market import keys
from livermore.market.timeframe import LONGEST_FIRST, MINUTE_MS, Timeframe
from tests.alerts.signals.market import BEYOND_150, BEYOND_200, TURNS
from tests.experiments.bots.installation import Installation
from tests.experiments.interference.drawn import Drop
from tests.experiments.watching.evaluators import Evaluators
from tests.experiments.watching.messages import Messages
from tests.warmup.live.redis_away import OwnRedis
from tests.warmup.runners import wait_for_time, wait_until

TOLD_WITHIN_SECONDS = 120  # with evaluators that are killed meanwhile
OVER_WITHIN_SECONDS = 120
HOLD_SECONDS = BAN_SECONDS = 40
LOCKED_SECONDS = 8.0
MINUTES_BEFORE_DROP = 1
SKEW_MS = 30_000
HALTED, DELISTED = ("XRP-USD", "DOGE-USD"), ("ADA-USD",)
RENAMED = ("LTC-USD", "LTC2-USD")
HOLED, UNFETCHED, WRONG = ("BTC-USD", "1h"), ("ETH-USD", "4h"), ("SOL-USD", "1h")
SAMPLE = "10000"  # all there are
WRONG_CLOSE = 1.001  # by how much a stored close is off


class Installed(NamedTuple):
    """All that can be broken: `row` is kept live by agents at `sandbox`, in real time `clocked`."""

    redis: object
    own_redis: OwnRedis
    sandbox: object
    row: Exchange
    clocked: object
    clocked_row: Exchange
    drop: Drop
    agents: Installation
    evaluators: Evaluators
    messages: Messages
    command: Callable[..., object]


def symbols(here: Installed) -> Counter:
    """Two symbols are halted at once, another is delisted, and all of them come back."""
    for each in HALTED:
        here.sandbox.scenarios.add("halted", symbol=each)
    for each in DELISTED:
        here.sandbox.scenarios.add("delisted", symbol=each)
    _listed(here, "halted", HALTED)
    _listed(here, "delisted", DELISTED)
    here.messages.wait(TOLD_WITHIN_SECONDS, halted=1, delisted=1)
    here.sandbox.scenarios.clear()
    _listed(here, "trading", HALTED + DELISTED)
    here.messages.wait_until_over(OVER_WITHIN_SECONDS, "halted", "delisted")
    return Counter(halted=1, delisted=1)


def renamed(here: Installed) -> Counter:
    """A symbol is taken off the list, and goes on under another name."""
    old, new = RENAMED
    here.sandbox.scenarios.add("renamed", symbol=old, to=new)
    _listed(here, "delisted", [old])
    here.messages.wait(TOLD_WITHIN_SECONDS, delisted=1)
    _listed(here, "trading", [new])
    wait_for_time(here.sandbox, here.sandbox.clock.now_ms() + 2 * MINUTE_MS)  # it has a price
    _do(here, "symbols", here.row.name, "--rename", old, new)
    here.messages.wait(TOLD_WITHIN_SECONDS, renamed=1)
    here.messages.wait_until_over(OVER_WITHIN_SECONDS, "delisted")
    return Counter(delisted=1, renamed=1)


def hole(here: Installed) -> Counter:
    """What the cache can vouch for of a pair is lost, and the exchange does not tell it again."""
    fault = _refusing(here.sandbox, *HOLED)
    here.redis.set(keys.coverage(here.row.pk, *HOLED), b"[]")
    here.messages.wait(TOLD_WITHIN_SECONDS, hole=1)
    here.sandbox.faults.remove(fault)
    here.messages.wait_until_over(OVER_WITHIN_SECONDS, "hole")
    return Counter(hole=1)


def silence(here: Installed) -> Counter:
    """The sockets fall silent, and REST does not tell minutes either."""
    faults = [
        here.sandbox.faults.add("status", status=503, timeframe=str(each)) for each in LONGEST_FIRST
    ]
    here.sandbox.scenarios.add("silence")
    here.messages.wait(TOLD_WITHIN_SECONDS, stale=1)
    here.sandbox.scenarios.clear()
    for each in faults:
        here.sandbox.faults.remove(each)
    here.messages.wait_until_over(OVER_WITHIN_SECONDS, "stale")
    return Counter(stale=1)


def unreachable(here: Installed) -> Counter:
    """Every socket is cut, and nothing is answered any more."""
    fault = here.sandbox.faults.add("status", status=503)
    here.sandbox.scenarios.add("refuse")
    here.sandbox.scenarios.add("drop")
    here.messages.wait(TOLD_WITHIN_SECONDS, unreachable=1)
    here.sandbox.scenarios.clear()
    here.sandbox.faults.remove(fault)
    here.messages.wait_until_over(OVER_WITHIN_SECONDS, "unreachable")
    return Counter(unreachable=1)


def hold_and_ban(here: Installed) -> Counter:
    """One exchange answers 429 and another one 418, until so and so long."""
    asked = (
        (here.sandbox, here.row, 418, BAN_SECONDS),
        (here.clocked, here.clocked_row, 429, HOLD_SECONDS),
    )
    for sandbox, row, status, seconds in asked:
        sandbox.faults.add("status", status=status, retry_after=seconds, times=1)
        here.redis.set(keys.coverage(row.pk, *HOLED), b"[]")  # which is asked for
    here.messages.wait(TOLD_WITHIN_SECONDS, hold=1, ban=1)
    here.messages.wait_until_over(OVER_WITHIN_SECONDS, "hold", "ban")
    return Counter(hold=1, ban=1)


def kill_agent(here: Installed) -> Counter:
    """The agent that runs both exchanges is killed with its processes, and another takes over."""
    with here.evaluators.spared():
        here.agents.kill_agent()
        here.messages.wait(TOLD_WITHIN_SECONDS, holder_died=2, take_over=2, agent_died=1)
    return Counter(holder_died=2, take_over=2, agent_died=1)


def kill_both(here: Installed) -> Counter:
    """Such an agent is killed, and all who evaluate: the lock tells of the take-over alone."""
    here.evaluators.kill_all()
    here.agents.kill_agent()
    here.messages.wait(TOLD_WITHIN_SECONDS, take_over=2, agent_died=1)
    return Counter(take_over=2, agent_died=1)


def drop(here: Installed) -> Counter:
    """A price falls by a tenth within a minute, of which more is told later."""
    drop_ms = Timeframe.M1.ceil(here.sandbox.clock.now_ms()) + MINUTES_BEFORE_DROP * MINUTE_MS
    here.drop.drop(drop_ms)
    return Counter()


def reversal(here: Installed) -> Counter:
    """The price that fell stands again: MACD-V is beyond two levels, and turns."""
    expected = {
        "MACD-V is beyond -150": BEYOND_150,
        "MACD-V is beyond -200": BEYOND_200,
        "the extreme move turns up": TURNS,
    }
    wait_until(lambda: all(each in _signals(here) for each in expected), TOLD_WITHIN_SECONDS)
    told = _signals(here)
    for what, bar in expected.items():
        assert told.count(what) == 1, f"{told.count(what)} times: {what}"
        said = told.partition(what)[2].partition("closed")[2].partition("inputs")
        assert said[0].startswith(_closed(here.drop.drop_ms, bar)), f"{what}: {said}"
        assert said[2].startswith(" complete"), f"{what}: {said}"
    begun = here.messages.begun()  # two levels are one message where both were met by one look
    return Counter(level=begun["level"], reversal=begun["reversal"])


def full(here: Installed) -> Counter:
    """Redis is full, and refuses writes."""
    here.redis.config_set("maxmemory-policy", "noeviction")
    here.redis.config_set("maxmemory", 1)
    here.messages.wait(TOLD_WITHIN_SECONDS, redis_writes=1)
    here.redis.config_set("maxmemory", 0)
    here.messages.wait_until_over(OVER_WITHIN_SECONDS, "redis_writes")
    return Counter(redis_writes=1)


def lost(here: Installed) -> Counter:
    """Redis is away, and comes back without anything in it."""
    here.own_redis.stop()
    here.messages.wait(TOLD_WITHIN_SECONDS, redis_away=1)
    shutil.rmtree(here.own_redis.folder / "valkey-data")
    here.own_redis.start()
    assert not here.redis.exists(keys.coverage(here.row.pk, *HOLED)), "Redis has lost nothing"
    here.messages.wait_until_over(OVER_WITHIN_SECONDS, "redis_away")
    here.agents.wait_until_live()
    return Counter(redis_away=1)


def skew(here: Installed) -> Counter:
    """The exchange's clock leaps half a minute ahead, and back."""
    here.clocked.scenarios.add("skew", ms=SKEW_MS)
    here.messages.wait(TOLD_WITHIN_SECONDS, clock_skew=1)
    here.clocked.scenarios.clear()  # it takes a minute until that is believed
    return Counter(clock_skew=1)


def audit(here: Installed) -> Counter:
    """Stored candles are not the exchange's; an audit finds them, fetches them, and finds none."""
    name = keys.candles(here.row.pk, *WRONG)
    for member, score in here.redis.zrange(name, 0, -1, withscores=True):
        row = orjson.loads(member)
        row[5] = row[5] * WRONG_CLOSE + 1
        here.redis.zrem(name, member)
        here.redis.zadd(name, {orjson.dumps(row): score})
    _do(here, "audit", here.row.name, "--sample", SAMPLE, "--repair", status=1)
    here.messages.wait(TOLD_WITHIN_SECONDS, audit_failed=1)
    _do(here, "audit", here.row.name, "--sample", SAMPLE)
    here.messages.wait_until_over(OVER_WITHIN_SECONDS, "audit_failed")
    return Counter(audit_failed=1)


def warmup(here: Installed) -> Counter:
    """A warmup can't fetch a pair, and the next one can."""
    fault = _refusing(here.sandbox, *UNFETCHED)
    here.redis.delete(keys.candles(here.row.pk, *UNFETCHED), keys.coverage(here.row.pk, *UNFETCHED))
    _do(here, "warmup", here.row.name, status=1)
    here.messages.wait(TOLD_WITHIN_SECONDS, warmup_failed=1)
    here.sandbox.faults.remove(fault)
    _do(here, "warmup", here.row.name)
    here.messages.wait_until_over(OVER_WITHIN_SECONDS, "warmup_failed")
    return Counter(warmup_failed=1)


def locked(here: Installed) -> Counter:
    """The database is locked for a while in which a symbol is halted, or has just been."""
    Symbol.objects.filter(exchange=here.row, symbol=HALTED[0]).update(status="halted")
    with _locked_database():
        threading.Event().wait(LOCKED_SECONDS)
    here.messages.wait(TOLD_WITHIN_SECONDS, halted=1)
    Symbol.objects.filter(exchange=here.row, symbol=HALTED[0]).update(status="trading")
    here.messages.wait_until_over(OVER_WITHIN_SECONDS, "halted")
    return Counter(halted=1)


# Between `drop` and `reversal` nothing happens to what is streamed.
BREAKAGES = {
    each.__name__: each
    for each in (
        *(drop, symbols, locked, warmup, audit, hole, reversal),
        *(hold_and_ban, kill_agent, skew, silence, full, unreachable, kill_both, renamed, lost),
    )
}


def _listed(here: Installed, status: str, names) -> None:
    """Fetch the listing until it says so of these symbols: it changes with a minute's end."""

    def is_listed() -> bool:
        fetch_listing(here.row)
        of = here.row.symbols.filter(symbol__in=names).values_list("status", flat=True)
        return set(of) == {status}

    wait_until(is_listed, TOLD_WITHIN_SECONDS)


def _closed(drop_ms: int, bar: int) -> str:
    """Return how it is told when a bar closed, the one that fell being the first."""
    at = datetime.fromtimestamp((drop_ms + bar * MINUTE_MS) / 1000, UTC)
    return f" {at:%Y-%m-%d %H:%M} UTC"


def _signals(here: Installed) -> str:
    """Return all that was told of the drop, what was told again once."""
    return "\n".join(here.messages.texts("level", "reversal"))


def _refusing(sandbox, symbol: str, timeframe: str):
    return sandbox.faults.add("status", status=503, symbol=symbol, timeframe=timeframe)


def _do(here: Installed, *arguments: str, status: int = 0) -> None:
    """Run a command to its end."""
    process = here.command(*arguments)
    assert process.wait() == status, f"{arguments[0]}: {''.join(process.errors)[-500:]}"


@contextmanager
def _locked_database():
    with transaction.atomic():
        if connection.vendor == "sqlite":
            connection.cursor().execute("UPDATE alert_progress SET step = step")
        else:
            connection.cursor().execute("LOCK TABLE alert_progress IN ACCESS EXCLUSIVE MODE")
        yield
