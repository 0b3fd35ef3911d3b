"""Server-sent events, over a real Redis and a real socket."""

import asyncio

import orjson
import pytest
from redis.exceptions import RedisError

from exchanges.redis.unreadable import OnceAnHour
from livermore.market import keys
from tests.serving.conftest import say_streamed
from tests.serving.native.described import check, response_to
from tests.warmup.runners import wait_until

MINUTE = 60_000
BEGIN = 1_795_046_400_000


def tell(redis, number, symbol="BTC-USD", timeframe="1m"):
    """Write a close, as a runner does; return its id."""
    message = {"symbol": symbol, "timeframe": timeframe, "timestamp": BEGIN + number * MINUTE}
    return redis.xadd(keys.events(4), {"event": orjson.dumps(message)}).decode()


async def blocks(answer):
    """Yield each block as its fields, comments under ""."""
    fields = {}
    while True:
        line = (await asyncio.wait_for(answer.content.readline(), 10)).decode()
        if not line:
            return
        if line == "\n":
            yield fields
            fields = {}
        else:
            name, _, value = line.rstrip("\n").partition(": ")
            fields[name] = value


async def read(answer, count):
    """Return the next events: id, kind, data. A block without data is none, by the standard."""
    found = []
    async for fields in blocks(answer):
        if "data" in fields:
            found.append((fields.get("id"), fields["event"], orjson.loads(fields["data"])))
        if len(found) == count:
            break
    return found


def listen(ask, work, headers=None, **params):
    async def listened():
        async with ask() as client:
            query = {"exchange": "sandbox"} | params
            async with client.get("/v1/events", params=query, headers=headers) as answer:
                assert answer.headers["Content-Type"] == "text/event-stream"
                return await work(answer)

    return asyncio.run(listened())


async def first_block(answer):
    return await anext(blocks(answer))


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


def test_who_was_told_nothing_yet_resumes_from_where_it_began(ask, redis):
    tell(redis, 0)
    newest = tell(redis, 1)
    begun = listen(ask, first_block)
    assert begun == {"retry": "3000", "id": newest}
    told = [tell(redis, number) for number in (2, 3)]

    async def work(answer):
        return await read(answer, 2)

    found = listen(ask, work, headers={"Last-Event-ID": begun["id"]})
    assert [each[0] for each in found] == told


def test_before_anything_was_told_one_begins_with_the_first(ask, redis):
    begun = listen(ask, first_block)
    assert begun["id"] == "0-0"
    first = tell(redis, 0)

    async def work(answer):
        return await read(answer, 1)

    assert listen(ask, work, headers={"Last-Event-ID": "0-0"})[0][:2] == (first, "close")


def test_the_last_id_is_believed_before_the_one_in_the_address(ask, redis):
    """A browser connects again at the same address, with the last id beside it."""
    ids = [tell(redis, number) for number in range(6)]

    async def work(answer):
        return await read(answer, 1)

    found = listen(ask, work, headers={"Last-Event-ID": ids[4]}, after=ids[1])
    assert found[0][0] == ids[5]


def test_behind_a_gap_it_goes_on_with_the_oldest_that_is_kept(ask, redis):
    ids = [tell(redis, number) for number in range(10)]
    redis.xtrim(keys.events(4), maxlen=3, approximate=False)

    async def work(answer):
        return await read(answer, 4)

    gap, *found = listen(ask, work, after=ids[2])
    assert gap[1:] == (
        "gap",
        {"error": f"events after {ids[2]} are no longer kept", "after": ids[2]},
    )
    assert [each[0] for each in found] == ids[7:]
    assert listen(ask, work, after="0-0")[0][1] == "gap"


@pytest.mark.parametrize("again", [0, 3])
def test_a_stream_that_redis_has_lost_is_a_gap(ask, redis, again):
    """What came between is gone, whether others are told by now or not."""
    lost = [tell(redis, number) for number in range(5)][-1]
    redis.delete(keys.events(4))
    last_ms = int(lost.partition("-")[0])
    wait_until(lambda: int(tell(redis, 0).partition("-")[0]) > last_ms)  # else ids begin anew
    redis.delete(keys.events(4))
    later = [tell(redis, 5 + number) for number in range(again)]

    async def work(answer):
        return await read(answer, 1 + again)

    gap, *found = listen(ask, work, headers={"Last-Event-ID": lost})
    assert (gap[1], gap[2]["after"]) == ("gap", lost)
    assert [each[0] for each in found] == later


def test_who_listens_while_redis_loses_the_stream_is_ended_and_told_of_the_gap(ask, redis):
    """No connection breaks where somebody empties it."""

    async def work(answer):
        await first_block(answer)
        last = tell(redis, 0)
        assert (await read(answer, 1))[0][0] == last
        redis.delete(keys.events(4))
        wait_until(lambda: redis.time()[0] > int(last.partition("-")[0]) // 1000)
        tell(redis, 2)
        assert await read(answer, 1) == []
        return last

    last = listen(ask, work)

    async def resumed(answer):
        return (await read(answer, 1))[0]

    assert listen(ask, resumed, headers={"Last-Event-ID": last})[1:] == (
        "gap",
        {"error": f"events after {last} are no longer kept", "after": last},
    )


def test_who_has_more_than_redis_is_told_so_and_gets_none_twice(ask, redis):
    newest = [tell(redis, number) for number in range(3)][-1]
    ahead = f"{int(newest.partition('-')[0]) + 60_000}-0"

    async def work(answer):
        (gap,) = await read(answer, 1)
        assert gap[:2] == (newest, "gap")
        later = tell(redis, 3)
        assert (await read(answer, 1))[0][0] == later

    listen(ask, work, headers={"Last-Event-ID": ahead})


def test_the_id_moves_on_where_nothing_comes_that_is_wanted(ask, redis, monkeypatch):
    monkeypatch.setattr("serving.native.events.HEARTBEAT_SECONDS", 0.05)
    monkeypatch.setattr("serving.native.events.SECONDS_BETWEEN_LOOKS", 0.05)

    async def work(answer):
        begun = await first_block(answer)
        unwanted = [tell(redis, number, symbol="ETH-USD") for number in range(3)]
        async for fields in blocks(answer):
            assert "data" not in fields
            if fields.get("id") == unwanted[-1]:
                assert fields[""] == "alive"
                return begun["id"], unwanted[-1]
        return None

    begun, moved = listen(ask, work, symbols="BTC-USD")
    assert moved != begun


def test_a_connection_without_events_is_kept_alive(ask, redis, monkeypatch):
    monkeypatch.setattr("serving.native.events.HEARTBEAT_SECONDS", 0.05)
    monkeypatch.setattr("serving.native.events.SECONDS_BETWEEN_LOOKS", 0.05)

    async def work(answer):
        found = [fields async for fields in limited(blocks(answer), 3)]
        assert found[1] == found[2] == {"": "alive", "id": "0-0"}

    listen(ask, work)


async def limited(found, count):
    async for each in found:
        yield each
        count -= 1
        if not count:
            return


def test_whether_closes_come_at_all_is_told(ask, redis, monkeypatch):
    monkeypatch.setattr("serving.native.events.SECONDS_BETWEEN_LOOKS", 0.05)
    redis.delete(keys.status(4))

    async def work(answer):
        (first,) = await read(answer, 1)
        say_streamed(redis)
        return first, (await read(answer, 1))[0]

    first, second = listen(ask, work)
    assert first[1:] == ("state", {"streamed": False})
    assert second[1:] == ("state", {"streamed": True})


def test_where_what_comes_next_cannot_be_read_it_ends_and_none_is_missed(ask, redis, monkeypatch):
    """Redis answers, but takes no further connection, such as that by which closes are read."""
    last = tell(redis, 0)

    def refuse(*which):
        raise RedisError("max number of clients reached")

    async def to_its_end(answer):
        return [fields async for fields in blocks(answer)]

    with monkeypatch.context() as patched:
        patched.setattr("serving.streams.closes.own_client", refuse)
        patched.setattr("serving.streams.closes.SECONDS_TO_BEGIN", 0.2)
        assert listen(ask, to_its_end)[0]["id"] == last
    missed = tell(redis, 1)

    async def work(answer):
        return await read(answer, 1)

    assert listen(ask, work, headers={"Last-Event-ID": last})[0][0] == missed


def test_where_redis_fails_in_the_middle_it_ends_in_order_and_goes_on_by_its_id(
    ask, redis, monkeypatch, caplog
):
    ids = [tell(redis, number) for number in range(2500)]
    pages, xrange = [], redis.xrange

    def fail_once(*which, **more):
        pages.append(which)
        if len(pages) == 2:
            raise RedisError("Connection reset by peer")
        return xrange(*which, **more)

    monkeypatch.setattr(redis, "xrange", fail_once)
    monkeypatch.setattr("serving.candles.unavailable._news", OnceAnHour())

    async def to_its_end(answer):
        return [fields["id"] async for fields in blocks(answer) if "data" in fields]

    async def rest(answer):
        return [each[0] for each in await read(answer, 2499 - len(first))]

    first = listen(ask, to_its_end, headers={"Last-Event-ID": ids[0]})
    assert first == ids[1:1001]
    logged = [each.getMessage() for each in caplog.records if each.levelname != "DEBUG"]
    assert logged == ["serving.no_redis error=Connection reset by peer"]
    assert listen(ask, rest, headers={"Last-Event-ID": first[-1]}) == ids[1001:]


def test_a_value_of_several_lines_is_one_event(ask, redis):
    """Whoever wrote it: lines are what events are told apart by."""
    text = b'{"symbol":"BTC-USD",\n\n"timeframe":"1m","timestamp":%d}' % BEGIN
    redis.xadd(keys.events(4), {"event": text})
    after = tell(redis, 1)

    async def work(answer):
        return await read(answer, 2)

    first, second = listen(ask, work, after="0-0")
    assert first[2] == {"symbol": "BTC-USD", "timeframe": "1m", "timestamp": BEGIN}
    assert second[0] == after


def test_events_are_as_the_document_says(ask, redis):
    redis.delete(keys.status(4))
    closes = [
        {"healed": False},
        {"healed": True, "late": True},
        {"healed": False, "quoteVolume": 1.5, "trades": 3, "takerBase": 0.5, "takerQuote": 0.75},
    ]
    close = {
        "exchangeId": 4, "symbol": "BTC-USD", "timeframe": "1m", "timestamp": BEGIN, "open": 1.5,
        "high": 2.0, "low": 1.0, "close": 1.75, "volume": 0.0, "closed": True,
    }  # fmt: skip
    for more in closes:
        redis.xadd(keys.events(4), {"event": orjson.dumps(close | more)})
    redis.xtrim(keys.events(4), maxlen=2, approximate=False)

    async def work(answer):
        return await read(answer, 4)

    found = listen(ask, work, after="0-0")
    told = response_to("/v1/events", 200)["content"]["text/event-stream"]
    kinds = told["x-events"]
    assert {kind for _, kind, _ in found} == set(kinds)
    for _, kind, content in found:
        check(content, kinds[kind])
