"""Closes that are followed with asyncio, whose loop goes on meanwhile."""

import asyncio
import threading

import pytest
from livermore_reader import BadRequest, Gap, Heartbeat

from livermore.market import keys
from tests.reader.told import tell
from tests.reader.ways import WAYS, reader_by
from tests.serving.conftest import ROW, FixedDirectory
from tests.warmup.runners import wait_until

pytestmark = pytest.mark.timeout(30)


@pytest.fixture(params=WAYS)
def lm(request, redis, told):
    with reader_by(request.param, redis, directory=FixedDirectory()) as reader:
        yield reader


def test_closes_come_while_the_loop_does_other_things(redis, lm):
    async def work():
        async with lm.afollow("sandbox", since="0-0") as closes:
            waiting = asyncio.ensure_future(anext(closes))
            await asyncio.sleep(0.05)
            assert not waiting.done()
            told = tell(redis, 0)  # nobody would, were the loop held
            assert (await waiting).id == told == closes.id

    asyncio.run(work())


def test_each_comes_once_and_in_order(redis, lm):
    ids = [tell(redis, number) for number in range(1500)]

    async def work():
        found = []
        async for close in lm.afollow("sandbox", since="0-0"):
            found.append(close.id)
            if len(found) == len(ids):
                return found
        return found

    assert asyncio.run(work()) == ids


def test_who_gives_up_waiting_loses_nothing(redis, lm):
    async def work():
        async with lm.afollow("sandbox", since="0-0") as closes:
            found, told = [], []
            for number in range(20):
                told.append(tell(redis, number))
                for seconds in (0.0001, 0.001, 10):
                    try:
                        found.append((await asyncio.wait_for(anext(closes), seconds)).id)
                        break
                    except TimeoutError:
                        pass
            assert found == told

    asyncio.run(work())


def test_it_ends_where_it_is_closed_while_somebody_waits(redis, lm):
    async def work():
        closes = lm.afollow("sandbox", since="0-0")
        waiting = asyncio.ensure_future(anext(closes, None))
        await asyncio.sleep(0.05)
        await closes.aclose()
        assert await asyncio.wait_for(waiting, 5) is None
        assert [each async for each in closes] == []

    asyncio.run(work())


def test_a_task_that_waits_can_be_cancelled(redis, lm):
    async def follow():
        async for _ in lm.afollow("sandbox", since="0-0"):
            pass

    async def work():
        task = asyncio.ensure_future(follow())
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 5)

    asyncio.run(work())


def test_more_follow_at_once_than_a_loop_has_threads(redis, lm):
    async def follow(begun):
        async with lm.afollow("sandbox", heartbeat=0.05) as closes:
            async for each in closes:
                if not isinstance(each, Heartbeat):
                    return each.id
                begun.set()
        return None

    async def work():
        begun = [asyncio.Event() for _ in range(40)]
        tasks = [asyncio.ensure_future(follow(each)) for each in begun]
        for each in begun:
            await each.wait()
        told = tell(redis, 0)
        assert await asyncio.gather(*tasks) == [told] * 40

    asyncio.run(work())


def test_what_is_wrong_is_raised_where_it_is_awaited(redis, lm):
    ids = [tell(redis, number) for number in range(10)]
    redis.xtrim(keys.events(ROW.exchange_id), maxlen=3, approximate=False)

    async def work():
        with pytest.raises(Gap):
            await anext(lm.afollow("sandbox", since=ids[1]))
        with pytest.raises(BadRequest):
            await anext(lm.afollow("sandbocks"))

    asyncio.run(work())


def test_no_thread_is_left(redis, lm):
    def left():
        return [each for each in threading.enumerate() if "livermore-follow" in each.name]

    async def work():
        async for _ in lm.afollow("sandbox", since="0-0"):
            break

    tell(redis, 0)
    asyncio.run(work())
    wait_until(lambda: not left())
