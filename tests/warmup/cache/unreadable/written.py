"""What somebody may write at every key in Redis, and what nobody may say of it."""

import json

import orjson

from exchanges.redis.json_types import LARGEST_VALUE
from exchanges.rest.pacing.host import host_of
from livermore.market import keys
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe

PAIR = Pair("BTC-USD", Timeframe.H1)
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
    return [*RAW, *(as_json(each) for each in odd_values(good))]


def as_json(found):
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


TOO_MUCH = LARGEST_VALUE + 1  # bytes of a value: more than anything is read of
OTHER_TYPES = ("string", "list", "hash", "zset", "set", "stream")


def no_traceback(caplog):
    found = [each for each in caplog.records if each.exc_info]
    assert not found, [(each.getMessage(), each.exc_info) for each in found[:1]]


def named(caplog, name):
    return [r.getMessage() for r in caplog.records if f"key={name} " in r.getMessage()]
