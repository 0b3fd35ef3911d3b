"""Server-sent events, over a real Redis and a real socket."""

import asyncio

import orjson

from livermore.market import keys

MINUTE = 60_000
BEGIN = 1_795_046_400_000


def tell(redis, number, symbol="BTC-USD", timeframe="1m"):
    """Write a close, as a runner does; return its id."""
    message = {"symbol": symbol, "timeframe": timeframe, "timestamp": BEGIN + number * MINUTE}
    return redis.xadd(keys.events(4), {"event": orjson.dumps(message)}).decode()


async def read(answer, count):
    """Return the next events: id, kind, data."""
    found = []
    while len(found) < count:
        lines = []
        while line := (await asyncio.wait_for(answer.content.readline(), 10)).decode().strip():
            lines.append(line)
        fields = dict(each.split(": ", 1) for each in lines if not each.startswith(":"))
        if fields:
            found.append((fields.get("id"), fields["event"], orjson.loads(fields["data"])))
    return found


def listen(ask, work, headers=None, **params):
    async def listened():
        async with ask() as client:
            query = {"exchange": "sandbox"} | params
            async with client.get("/v1/events", params=query, headers=headers) as answer:
                assert answer.headers["Content-Type"] == "text/event-stream"
                return await work(answer)

    return asyncio.run(listened())


def test_closes_come_as_they_are_told(ask, redis):
    tell(redis, 0)

    async def work(answer):
        await asyncio.sleep(0.3)
        ids = [tell(redis, number) for number in (1, 2, 3)]
        found = await read(answer, 3)
        assert [each[0] for each in found] == ids
        return found

    found = listen(ask, work)
    assert [each[2]["timestamp"] for each in found] == [BEGIN + n * MINUTE for n in (1, 2, 3)]


def test_who_comes_again_with_the_last_id_misses_none_and_gets_none_twice(ask, redis):
    ids = [tell(redis, number) for number in range(2500)]

    async def work(answer):
        later = [tell(redis, 2500 + number) for number in range(5)]
        found = await read(answer, 2500 - 11 + 5)
        assert [each[0] for each in found] == ids[11:] + later

    listen(ask, work, headers={"Last-Event-ID": ids[10]})


def test_a_stream_that_was_cut_behind_the_id_says_so(ask, redis):
    ids = [tell(redis, number) for number in range(10)]
    redis.xtrim(keys.events(4), maxlen=3, approximate=False)

    async def work(answer):
        return await read(answer, 1)

    ((_, kind, content),) = listen(ask, work, after=ids[2])
    assert kind == "gap"
    assert content["error"] == f"events after {ids[2]} are no longer kept"


def test_only_what_is_asked_for_comes(ask, redis):
    first = tell(redis, 0)
    tell(redis, 1, timeframe="5m")
    tell(redis, 2, symbol="ETH-USD")
    wanted = tell(redis, 3)

    async def work(answer):
        return await read(answer, 1)

    ((found, _, _),) = listen(ask, work, after=first, symbols="BTC-USD", timeframes="1m")
    assert found == wanted
