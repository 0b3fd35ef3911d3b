"""Every key in Redis x whatever somebody may write there: nobody dies of it, and others go on."""

import io
import json
import logging
from itertools import product
from unittest.mock import patch

import orjson
import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from exchanges.models import Exchange
from exchanges.redis.json_types import LARGEST_VALUE
from exchanges.redis.unreadable import OnceAnHour
from exchanges.rest.pacing.host import host_of
from exchanges.symbols.volumes import read_volumes
from livermore.asgi import application
from livermore.market import keys
from livermore.market.pair import Pair, pairs_of
from livermore.market.timeframe import Timeframe
from tests.warmup.network.operators import agent, live, person
from tests.warmup.network.sockets import browsing, in_a_loop, log_in
from tests.warmup.runners import (
    MINUTE_MS,
    SYMBOLS,
    Comparison,
    backfill_without_pauses,
    hurry,
    make_row,
    running,
    serve,
    wait_until,
)
from warmup.cache.candles import CandleCache
from warmup.cache.indicators import IndicatorCache
from warmup.cache.tickers import TickerCache
from warmup.metrics.redis_server import refusal
from warmup.network.page import snapshot
from warmup.network.page.runner_state import RunnerState
from warmup.network.page.snapshot import read_network, read_pair
from warmup.runner.agent import Agent
from warmup.service import SmartWarmupService

PAIR = Pair("BTC-USD", Timeframe.H1)
TOKEN = "a-token-of-thirty-two-characters"
NOW = 1_790_000_000_000
FIELD = keys.pair_field(*PAIR)

# Where texts stand: (key of a row, field of a hash or None, what belongs there).
ROW_OF_CANDLE = [NOW - NOW % PAIR.timeframe.ms, 2, 4, 1, 3, 10]
LOCK = {
    **{"instanceId": "i", "epoch": 5, "hostname": "h", "ip": "10.0.0.7", "pid": 7},
    "connectedSince": NOW,
}
STATUS = {
    **LOCK,
    **{"startedAt": NOW, "state": "active", "phase": "streaming", "percent": 1.0},
    **{"heartbeat": NOW, "obeys": True, "connections": 1, "reconnects": 2, "symbols": 3},
    **{"framesPerSecond": 1.5, "frameRates": [1.0], "polledPairs": {"A": ["1m"]}, "silent": 0},
    **{"order": {"command": "repair", "symbols": ["A"]}, "exchangeTime": NOW, "newestClose": NOW},
    **{"closeDelays": {"boundsMs": [1], "counts": [1, 1], "sumMs": 3}, "refused": {"a": 1}},
    **{"fetching": ["A"], "streams": 1, "historiesWaiting": 1, "historiesTrouble": "why"},
}
STATS = {
    **{"status": "executing", "startedAt": NOW, "updatedAt": NOW, "totalPairs": 3},
    **{"completedPairs": 1, "skippedPairs": 0, "failedPairs": 1, "percentComplete": 10.0},
    **{"etaMs": 5, "pairsPerSecond": 1.0, "currentSymbol": "A", "currentTimeframe": "1m"},
    **{"failures": [{"symbol": "A", "timeframe": "1m", "error": "e"}], "error": None},
}
TEXTS = {
    "lock": (lambda row: keys.lock(row.pk), None, LOCK),
    "epoch": (lambda row: keys.epoch(row.pk), None, 5),
    "status": (lambda row: keys.status(row.pk), None, STATUS),
    "stats": (lambda row: keys.warmup_stats(row.pk), None, STATS),
    "schedule": (
        lambda row: keys.warmup_schedule(row.pk),
        None,
        {"createdAt": NOW, "entries": [{"timeframe": "1m"}]},
    ),
    "trouble": (
        lambda row: keys.trouble(row.pk),
        None,
        {"text": "t", "remedy": "r", "hostname": "h", "retryAt": NOW, "overAt": None},
    ),
    "coverage": (lambda row: keys.coverage(row.pk, *PAIR), None, [[NOW - 10**8, NOW]]),
    "live": (lambda row: keys.live_candle(row.pk, *PAIR), None, ROW_OF_CANDLE),
    "ticker": (
        lambda row: keys.ticker(row.pk, "BTC-USD"),
        None,
        {
            **{"symbol": "BTC-USD", "price": 1.0, "change24h": 1.0, "changePercent24h": 1.0},
            **{"high24h": 1.0, "low24h": 1.0, "volume24h": 1.0, "timestamp": NOW},
        },
    ),
    "indicator": (
        lambda row: keys.indicator(row.pk, *PAIR),
        None,
        {
            **{"timestamp": NOW, "value": 1.0, "signal": 1.0, "histogram": 1.0},
            **{"stage": "rallying", "nEff": 99, "spanBars": 100},
            **{"liquidity": 1.0, "coverageComplete": True},
            **{"seeded": True, "reason": None, "ema12": 1.0, "ema26": 1.0, "atr": 1.0},
        },
    ),
    "agents": (
        lambda row: keys.agents(),
        "a",
        {
            **{"agentId": "a", "hostname": "h", "ip": "i", "pid": 1, "startedAt": NOW},
            **{"heartbeat": NOW, "running": ["x"]},
        },
    ),
    "commands": (
        lambda row: keys.commands(row.pk),
        "a",
        {
            **{"id": "a", "what": "w", "who": "h", "startedAt": NOW, "epoch": 5, "endedAt": NOW},
            **{"ok": True, "result": "r", "done": 1, "total": 2},
        },
    ),
    "told": (lambda row: keys.told(row.pk), FIELD, [NOW, [[NOW - 10**7, NOW]]]),
    "unconfirmed": (
        lambda row: keys.unconfirmed(row.pk),
        FIELD,
        [[NOW - 10**7, NOW, "empty", NOW, 1]],
    ),
    "ban": (lambda row: keys.pacing(host_of(row.rest_url)), "banned_until", 0),
    "hold": (lambda row: keys.pacing(host_of(row.rest_url)), "held_until", 0),
    "weight": (lambda row: keys.pacing(host_of(row.rest_url)), "weight:29833333", 0),
    "limit": (lambda row: keys.pacing(host_of(row.rest_url)), "weight_limit", 6000),
    "limits until": (lambda row: keys.pacing(host_of(row.rest_url)), "limits_until", NOW),
    "batch": (lambda row: keys.pacing(host_of(row.rest_url)), "batch_used", 0),
}
# All kinds of keys, with Redis's type of each.
TYPES = {
    **{what: (key, "hash" if field else "string") for what, (key, field, _) in TEXTS.items()},
    "candles": (lambda row: keys.candles(row.pk, *PAIR), "zset"),
    "events": (lambda row: keys.events(row.pk), "stream"),
    "control": (lambda row: keys.control(row.pk), "stream"),
}
for _each in ("hold", "weight", "limit", "limits until", "batch"):
    TYPES.pop(_each)  # the same hash
ODD = [
    *(None, True, "x", "\x1b[31m<b>", -1, 1.5, 10**19, -(10**18)),
    *([], {}, [[]], {"a": None}, [None]),
]
RAW = [
    *(b"", b"not json", b"\xff\xfe\x00", b"null", b"7", b"NaN", b"[NaN]", b"1e999", b"true"),
    *(b"[]", b"{}", b"[[null]]", b"[[1]]", b'[["x","y"]]', b"[[1,2,3]]", b"[[5,1]]", b"[[-5,1]]"),
    *(b"[[0,9e99],[1,5],[0,3]]", b"[[1790000000000,4000000000000],[0,1790000000000]]"),
    *(b"[" * 2000, b'{"a":' * 2000, b"9" * 40, b"-5", b"1" + b"0" * 400, b'"text"', b" "),
]
MEMBERS = [
    [*RAW],
    [orjson.dumps([1, 2, 3, 4, 5, 6])],
    [orjson.dumps(["a"] * 6)],
    [orjson.dumps([NOW, 5, 1, 9, 0, -1])],
    [orjson.dumps([*ROW_OF_CANDLE, 1, 2, 3, 4])],
    [orjson.dumps(ROW_OF_CANDLE), orjson.dumps([*ROW_OF_CANDLE[:5], 99])],
]


def odd_values(good):
    """Return what belongs there, bent in one place at a time.

    Of what is odd each place of an object gets every other one, and the next place the others.
    """
    yield good
    if isinstance(good, dict):
        yield good | {"of the future": [1]}
        for at, name in enumerate(good):
            yield {key: value for key, value in good.items() if key != name}
            yield from (good | {name: odd} for odd in ODD[at % 2 :: 2])
    elif isinstance(good, list):
        yield [*good, "of the future"]
        for at in range(len(good)):
            yield good[:at] + good[at + 1 :]
            yield from ([*good[:at], odd, *good[at + 1 :]] for odd in ODD)
            if isinstance(good[at], list):
                yield from ([*good[:at], bent, *good[at + 1 :]] for bent in odd_values(good[at]))


def texts_for(good):
    """Return every text that is written there."""
    return [*RAW, *(_json(each) for each in odd_values(good))]


def _json(found):
    try:
        return orjson.dumps(found)
    except TypeError:  # larger than 64 bits
        return json.dumps(found).encode()


def put(redis, name, field, text):
    if field is None:
        redis.set(name, text)
    else:
        redis.hset(name, field, text)


def of_type(redis, name, kind):
    """Let a key be of that type."""
    redis.delete(name)
    match kind:
        case "string":
            redis.set(name, "mine")
        case "list":
            redis.rpush(name, "mine")
        case "hash":
            redis.hset(name, "mine", "mine")
        case "zset":
            redis.zadd(name, {"mine": 1})
        case "set":
            redis.sadd(name, "mine")
        case "stream":
            redis.xadd(name, {"mine": "mine"})


TEXTS_PER_LOOK = 60  # all else is tried with each
TOO_MUCH = LARGEST_VALUE + 1  # bytes of a value: more than anything is read of
OTHER_TYPES = ("string", "list", "hash", "zset", "set", "stream")


@pytest.fixture(autouse=True)
def in_a_transaction(monkeypatch, settings):
    monkeypatch.setattr("warmup.runner.agent.close_old_connections", lambda: None)
    settings.LIVERMORE_METRICS_TOKEN = TOKEN


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    backfill_without_pauses(monkeypatch)


@pytest.fixture
def row(redis, exchange):
    Exchange.objects.exclude(pk=exchange.pk).update(is_active=False)
    from exchanges.symbols.fetch_listing import fetch_listing

    fetch_listing(exchange)
    exchange.symbols.update(is_monitored=False)
    exchange.symbols.filter(symbol__in=SYMBOLS).update(is_monitored=True)
    return exchange


@pytest.fixture
def warm(redis, row, rest):
    SmartWarmupService(redis, row.pk, rest).warmup(SYMBOLS)
    return row


@pytest.fixture
def session(db):
    return log_in(person("bob", "operate_exchange"))


class Looks:
    """Everything that only looks, over HTTP; what nobody may answer is an assertion."""

    def __init__(self, client, redis, row):
        self._client, self._redis, self._row = client, redis, row
        self._user = person("ada", "operate_exchange")
        client.force_login(self._user)
        self._rows = snapshot.read_rows()
        self._accounts = snapshot.read_accounts(self._user)

    def look(self):
        for name, arguments, headers in (
            ("page", (), {}),
            ("pair", (self._row.pk, *PAIR), {}),
            ("pair", (self._row.pk, *PAIR), {"Accept": "application/json"}),
            ("pair", (self._row.pk, "ETH-USD", "1h"), {"Accept": "application/json"}),
            ("symbols", (self._row.pk,), {}),
        ):
            answer = self._client.get(reverse(f"network:{name}", args=arguments), headers=headers)
            allowed = (200, 503) if PAIR.symbol in arguments else (200,)
            assert answer.status_code in allowed, answer.content[:300]
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        answer = self._client.get("/metrics", headers=bearer)
        assert (answer.status_code, b"livermore_redis_up 1.0" in answer.content) == (200, True)
        assert self._client.get("/health/").status_code == 200
        orjson.dumps(read_network(self._redis, self._user))

    def summarize(self):
        """Do what all of them do, without the way there: the database is read once for all."""
        now_ms = self._redis.time()[0] * 1000
        with (
            patch.object(snapshot, "read_rows", lambda: self._rows),
            patch.object(snapshot, "read_accounts", lambda user: self._accounts),
        ):
            orjson.dumps(read_network(self._redis, self._user))
        orjson.dumps(read_pair(self._redis, self._row.pk, *PAIR, now_ms).as_json())
        RunnerState.read(self._redis, self._row)

    def act(self):
        for action, form in (
            ("connect", {}),
            ("connect", {"holder": "i", "confirm": self._row.name, "reason": "r"}),
            ("stop", {}),
            ("warmup", {}),
            ("repair", {"symbol": "BTC-USD", "timeframe": "1h"}),
            ("add-symbols", {"symbols": "XRP-USD"}),
            ("remove-symbols", {"symbols": "XRP-USD"}),
        ):
            where = reverse(f"network:{action}", args=[self._row.pk])
            answer = self._client.post(where, form, headers={"Accept": "application/json"})
            assert answer.status_code in (200, 400, 409, 503), (action, answer.content[:300])
            assert answer.json()["text"], action


@pytest.fixture
def looks(client, redis, warm):
    return Looks(client, redis, warm)


@pytest.fixture(autouse=True)
def _nothing_was_said(monkeypatch):
    """Let each test be told what another one was told lately."""
    monkeypatch.setattr("exchanges.redis.unreadable._news", OnceAnHour())


def no_traceback(caplog):
    found = [each for each in caplog.records if each.exc_info]
    assert not found, [(each.getMessage(), each.exc_info) for each in found[:1]]


@pytest.mark.django_db
@pytest.mark.parametrize("what", TEXTS)
def test_whatever_is_written_into_a_value_the_pages_answer(
    redis, warm, looks, caplog, monkeypatch, what
):
    name_of, field, good = TEXTS[what]
    name = name_of(warm)
    live(redis, warm)
    agent(redis)
    for at, text in enumerate(texts_for(good)):
        put(redis, name, field, text)
        looks.summarize()
        if at % TEXTS_PER_LOOK == 0:
            looks.look()
            looks.act()
    put(redis, name, field, b'{"a":"' + TOO_MUCH * b"x" + b'"}')
    looks.look()
    redis.delete(name)
    no_traceback(caplog)


@pytest.mark.django_db
@pytest.mark.parametrize("what", TYPES)
def test_whatever_type_a_key_is_of_the_pages_answer(redis, looks, warm, caplog, what):
    name_of, right = TYPES[what]
    live(redis, warm)
    agent(redis)
    others = [kind for kind in OTHER_TYPES if kind != right]
    own = [*TYPES].index(what) % len(others)
    for at, kind in enumerate(others):
        of_type(redis, name_of(warm), kind)
        looks.look()
        if at == own:
            looks.act()
    redis.delete(name_of(warm))
    no_traceback(caplog)


@pytest.mark.django_db
def test_whatever_is_among_the_candles_the_pages_answer(redis, looks, warm, caplog):
    name = keys.candles(warm.pk, *PAIR)
    for members in MEMBERS:
        for at, member in enumerate(members):
            redis.zadd(name, {member: ROW_OF_CANDLE[0] + (at if len(members) > 2 else 0)})
        looks.look()
    no_traceback(caplog)


def run(*arguments):
    """Run a command as from a terminal; what it fails with has to be a line, or a status."""
    out = io.StringIO()
    try:
        call_command(*arguments, stdout=out, stderr=out)
    except CommandError as error:
        assert "\n" not in str(error), error
        return str(error)
    except SystemExit as error:
        assert error.code in (0, 1), error.code
    return out.getvalue()


COMMANDS = [
    ("warmup", "--plan", "--repair"),
    ("warmup",),
    ("repair",),
    ("backfill", "--symbols", "BTC-USD,ETH-USD", "--count", "5"),
    ("indicators",),
    ("symbols",),
]
WRITING = COMMANDS[1:3]
SAMPLES = [b"", b"\xff\xfe", b"null", b"7", b"[[null]]", b'{"a":[1]}', b"9" * 40]


def run_all(redis, row, commands=COMMANDS):
    said = [run(command, row.name, *rest) for command, *rest in commands]
    Agent(redis, said.append).step()
    return said


@pytest.mark.django_db
@pytest.mark.parametrize("what", TEXTS)
def test_whatever_is_written_into_a_value_commands_end_in_a_line(redis, warm, caplog, what):
    name_of, field, _ = TEXTS[what]
    own = [*TEXTS].index(what) % len(SAMPLES)
    for at, text in enumerate(SAMPLES):
        put(redis, name_of(warm), field, text)
        if what == "lock":
            redis.pexpire(name_of(warm), 300)
        run_all(redis, warm, COMMANDS if at == own else WRITING)  # the others write little
        redis.delete(name_of(warm))
    no_traceback(caplog)


@pytest.mark.django_db
@pytest.mark.parametrize("what", TYPES)
def test_whatever_type_a_key_is_of_commands_end_in_a_line(redis, warm, caplog, what):
    name_of, right = TYPES[what]
    kind = next(each for each in ("hash", "string") if each != right)
    of_type(redis, name_of(warm), kind)
    said = run_all(redis, warm)
    if what in ("lock", "epoch", "candles", "coverage", "ban"):
        assert any(name_of(warm) in line for line in said[1:4]), said[1:4]
    run("check_exchange", warm.name, "--seconds", "0.2")
    assert redis.type(name_of(warm)).decode() == kind or what in (
        *("status", "stats", "schedule", "live", "indicator", "ticker", "trouble"),
    )
    no_traceback(caplog)


@pytest.mark.django_db
def test_a_lock_that_never_ends_is_told_with_what_to_do(redis, warm):
    redis.set(keys.lock(warm.pk), "mine")
    said = run("warmup", warm.name)
    assert "exchange:4:lock can't be read" in said.replace(str(warm.pk), "4")
    assert f"redis-cli DEL {keys.lock(warm.pk)}" in said
    card = read_network(redis, None)["cards"][0]
    assert f"redis-cli DEL {keys.lock(warm.pk)}" in card["lines"]["unreadable"]
    assert card["stateText"] == "Stale: nobody knows who has it"
    assert "take-over" not in card["buttons"]
    assert redis.get(keys.lock(warm.pk)) == b"mine"


@pytest.mark.django_db
@in_a_loop
async def test_the_socket_tells_all_others(redis, row, session):
    for what, (name_of, right) in TYPES.items():
        of_type(redis, name_of(row), "hash" if right != "hash" else "string")
        async with browsing(application, session) as browser:
            assert browser.cards[row.pk]["name"] == row.name, what
            await browser.say(type="open-pair", exchangeId=row.pk, symbol="BTC-USD", timeframe="1h")
            await browser.until(lambda message: message["type"] == "pair")
        redis.delete(name_of(row))


# -- Live

LIVE_TYPES = ("candles", "coverage", "live", "ticker", "indicator", "status", "stats", "schedule")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("venue", ["sandbox", "coinbase"])
def test_a_runner_goes_on_with_all_others(redis, monkeypatch, caplog, venue):
    hurry(monkeypatch)
    with serve() as sandbox:
        row = make_row(sandbox, venue)
        with running(redis, row) as one:
            for what in (*LIVE_TYPES, "unconfirmed", "control", "agents", "trouble"):
                name_of, right = TYPES[what]
                of_type(redis, name_of(row), "list" if right != "list" else "string")
            for what, (name_of, field, good) in TEXTS.items():
                if what not in (*LIVE_TYPES, "lock", "epoch", "agents", "unconfirmed", "trouble"):
                    for text in texts_for(good):
                        put(redis, name_of(row), field, text)
            redis.xadd(keys.events(row.pk), {"other": "x"})
            redis.xadd(keys.events(row.pk), {"event": "\xff"})
            others = [(s, t) for s, t in pairs_of(SYMBOLS) if (s, t) != PAIR]
            beside = Comparison(redis, sandbox, row)
            beside._pairs = others
            beside.wait(sandbox.clock.now_ms() + 3 * MINUTE_MS)
            assert not one.ended, one.error
        no_traceback(caplog)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("what", ["events", "told"])
def test_what_cant_be_told_waits_until_it_can(redis, monkeypatch, what):
    hurry(monkeypatch)
    with serve() as sandbox:
        row = make_row(sandbox)
        name = TYPES[what][0](row)
        with running(redis, row) as one:
            kept = wait_until(lambda: redis.dump(name))
            of_type(redis, name, "string")
            trouble = wait_until(lambda: one.runner.measured()["unreadable"])
            assert f"{name} is a string, not a " in trouble
            wait_until(lambda: one.runner.measured()["pendingCloses"])
            redis.restore(name, 0, kept, replace=True)
            everything = Comparison(redis, sandbox, row)
            everything.wait(sandbox.clock.now_ms() + 2 * MINUTE_MS)
            assert not everything.faults()
            assert one.runner.measured()["unreadable"] == ""


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("text", [b"", b"mine", b"-1", b"9" * 30, None])
@pytest.mark.parametrize("name_of", [keys.lock, keys.epoch])
def test_a_runner_whose_lock_or_epoch_somebody_overwrites_stops_in_a_line(
    redis, monkeypatch, caplog, name_of, text
):
    hurry(monkeypatch)
    from tests.warmup.runners import short_lease

    short_lease(monkeypatch)
    with serve() as sandbox:
        row = make_row(sandbox)
        with pytest.raises(AssertionError), running(redis, row) as one:
            if text is None:
                of_type(redis, name_of(row.pk), "hash")
            else:
                redis.set(name_of(row.pk), text)
            wait_until(lambda: one.ended)
        assert "stopped: " in str(one.error)
        assert name_of(row.pk) in str(one.error)
        no_traceback(caplog)


@pytest.mark.django_db
def test_a_value_that_cant_be_read_is_said_once(redis, warm, looks, caplog):
    caplog.set_level(logging.WARNING)
    redis.set(keys.warmup_stats(warm.pk), b"a text of this test alone")
    for _ in range(3):
        looks.look()
    name = keys.warmup_stats(warm.pk)
    told = [each for each in caplog.messages if "redis.unreadable" in each and name in each]
    assert len(told) <= 1


@pytest.mark.django_db
def test_caches_count_what_they_cant_read_as_not_there(redis):
    cache, tickers = CandleCache(redis, 7), TickerCache(redis, 7)
    indicators = IndicatorCache(redis, 7)
    for text in RAW:
        for name in (keys.coverage(7, *PAIR), keys.live_candle(7, *PAIR), keys.ticker(7, "A")):
            redis.set(name, text)
        redis.set(keys.indicator(7, *PAIR), text)
        redis.zadd(keys.candles(7, *PAIR), {text: NOW})
        assert cache.live(*PAIR) is None
        assert tickers.read("A") is None
        assert cache.newest(*PAIR, 10) == []
        assert cache.between(*PAIR, 0, 2 * NOW) == []
        assert cache.coverage(*PAIR) in ((), ((0, 4_000_000_000_000),))
        assert indicators.read_many([PAIR]) in ([None], [{}], [{"a": None}])


# -- What is too long, and what makes no sense in one place


TIMES_OF_AN_INDICATOR = ["timestamp", "firstTimestamp", "lastTimestamp"]


def named(caplog, name):
    return [r.getMessage() for r in caplog.records if f"key={name} " in r.getMessage()]


@pytest.mark.django_db
def test_a_coverage_that_is_too_long_is_named_and_not_carried_about(redis, warm, looks, caplog):
    name = keys.coverage(warm.pk, *PAIR)
    redis.set(name, b'{"a":"' + TOO_MUCH * b"x" + b'"}')
    [summary] = CandleCache(redis, warm.pk).summaries([PAIR])
    assert len(summary.coverage) < 2_000_000
    assert summary.known == ()
    looks.look()
    assert named(caplog, name) == [f"redis.unreadable key={name} why=no coverage: too long"]


@pytest.mark.django_db
@pytest.mark.parametrize("text", [b"mine", b"[[5,1]]", b'{"a":1}'])
def test_a_coverage_that_is_none_is_named_by_its_key(redis, warm, looks, caplog, text):
    name = keys.coverage(warm.pk, "ETH-USD", "4h")
    redis.set(name, text)
    looks.look()
    assert len(named(caplog, name)) == 1


@pytest.mark.django_db
@pytest.mark.parametrize("name_of", [keys.volumes, lambda pk: keys.live_candle(pk, *PAIR)])
def test_other_values_that_are_too_long_are_read_no_further(redis, warm, caplog, name_of):
    redis.set(name_of(warm.pk), b"[" + TOO_MUCH * b"1" + b"]")
    assert read_volumes(redis, warm.pk).at_ms is None
    assert CandleCache(redis, warm.pk).live(*PAIR) is None
    [said] = named(caplog, name_of(warm.pk))
    assert "too long" in said


@pytest.mark.django_db
def test_a_pairs_page_stands_any_indicator(redis, warm, client):
    client.force_login(person("ada", "view_exchange"))
    good = TEXTS["indicator"][2] | {"firstTimestamp": NOW, "lastTimestamp": NOW}
    odd = [*ODD, 10**17, -62_135_596_900_000, 253_402_300_800_000]
    bent = [good | {name: each} for name, each in product(TIMES_OF_AN_INDICATOR, odd)]
    for each in (*bent, {key: good[key] for key in good if key != "timestamp"}):
        redis.set(keys.indicator(warm.pk, *PAIR), _json(each))
        answer = client.get(reverse("network:pair", args=[warm.pk, *PAIR]))
        assert answer.status_code == 200, each


@pytest.mark.django_db
def test_a_pairs_page_stands_a_row_at_any_time(redis, warm, client):
    client.force_login(person("ada", "view_exchange"))
    name = keys.candles(warm.pk, *PAIR)
    middle = redis.zrange(name, 50, 50, withscores=True)[0][1]
    for time_ms in (10**17, -(10**15), 1, 10**18 - 1):
        row = orjson.dumps([time_ms, 2, 4, 1, 3, 10])
        redis.zadd(name, {row: middle})
        answer = client.get(reverse("network:pair", args=[warm.pk, *PAIR]))
        assert answer.status_code == 200, time_ms
        redis.zrem(name, row)


@pytest.mark.django_db
def test_agents_of_another_type_are_named_once(redis, row, caplog, monkeypatch):
    monkeypatch.setattr("exchanges.redis.unreadable._news", OnceAnHour())
    redis.set(keys.agents(), "mine")
    one = Agent(redis, print)
    for _ in range(3):
        one.step()
    assert len(named(caplog, keys.agents())) == 1
    assert "not_registered" not in caplog.text


@pytest.mark.parametrize("kind", OTHER_TYPES)
def test_whatever_is_where_nothing_is_the_server_takes_writes(redis, kind):
    of_type(redis, keys.nothing(), kind)
    assert refusal(redis) == ""
