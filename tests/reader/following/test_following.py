"""Closes that are followed, from Redis itself and from serve, over a stream of the test's own."""

import json
import threading
import time
from itertools import islice

import pytest
from livermore_reader import BadRequest, Close, Gap, Heartbeat

from livermore.market import keys
from tests.reader.told import BEGIN, MINUTE, message, numbers, take, tell
from tests.reader.ways import WAYS, reader_by
from tests.serving.conftest import ROW, FixedDirectory, say_streamed
from tests.warmup.runners import wait_until

pytestmark = pytest.mark.timeout(30)
EVENTS = keys.events(ROW.exchange_id)


@pytest.fixture(params=WAYS)
def lm(request, redis, told):
    """A reader of the same exchange, by each way."""
    with reader_by(request.param, redis, directory=FixedDirectory()) as reader:
        yield reader


def test_closes_come_as_they_are_told(redis, lm):
    tell(redis, 0)
    with lm.follow("sandbox") as closes:
        ids = [tell(redis, number) for number in (1, 2, 3)]
        assert take(closes, 3) == ids


def test_a_close_says_all_that_is_known_of_it(redis, lm):
    four = {"quoteVolume": 12.5, "trades": 3, "takerBase": 0.0625, "takerQuote": 6.25}
    first = tell(redis, 0, **four)
    second = tell(redis, 1, "ETH-USD", "1h", healed=True, late=True)
    with lm.follow("sandbox", since="0-0") as closes:
        six = [BEGIN, 100.5, 102.25, 99.125, 101.0, 0.125]
        assert next(closes) == Close(
            first, "sandbox", "BTC-USD", "1m", [*six, 12.5, 3, 0.0625, 6.25]
        )
        six = [BEGIN + 60 * MINUTE, 100.5, 102.25, 99.125, 102.0, 0.125]
        assert next(closes) == Close(
            second, "sandbox", "ETH-USD", "1h", [*six, *[None] * 4], healed=True, late=True
        )


def test_only_what_is_asked_for_comes_and_words_are_symbols_too(redis, lm):
    with lm.follow("sandbox", ["BTCUSD"], "1m", since="0-0") as closes:
        tell(redis, 0, "ETH-USD")
        tell(redis, 0, timeframe="5m")
        wanted = tell(redis, 0)
        assert take(closes, 1) == [wanted]


def test_who_goes_on_by_an_id_misses_none_and_gets_none_twice(redis, lm):
    ids = [tell(redis, number) for number in range(2500)]
    seen, since = [], "0-0"
    for count in (1, 1200, 1299):
        with lm.follow("sandbox", since=since) as closes:
            seen += take(closes, count)
            assert closes.id == seen[-1]
        since = seen[-1]
    assert seen == ids


def test_the_place_moves_on_where_nothing_comes_that_is_wanted(redis, lm, monkeypatch):
    monkeypatch.setattr("serving.native.events.HEARTBEAT_SECONDS", 0.05)
    monkeypatch.setattr("serving.native.events.SECONDS_BETWEEN_LOOKS", 0.05)
    with lm.follow("sandbox", "BTC-USD", heartbeat=0.05) as closes:
        unwanted = [tell(redis, number, "ETH-USD") for number in range(3)]
        wait_until(lambda: next(closes).id == unwanted[-1])


def test_who_began_before_anything_was_told_gets_the_first_by_its_place(redis, lm):
    with lm.follow("sandbox", heartbeat=0.05) as closes:
        place = next(closes).id
    ids = [tell(redis, number) for number in range(3)]
    with lm.follow("sandbox", since=place) as closes:
        assert take(closes, 3) == ids
    redis.xtrim(EVENTS, maxlen=1, approximate=False)
    with lm.follow("sandbox", since=place) as closes, pytest.raises(Gap):
        next(closes)


def test_closes_that_are_no_longer_kept_are_a_gap(redis, lm):
    ids = [tell(redis, number) for number in range(10)]
    redis.xtrim(EVENTS, maxlen=3, approximate=False)
    with lm.follow("sandbox", since=ids[2]) as closes:
        with pytest.raises(Gap, match=f"behind {ids[2]} are no longer kept") as caught:
            next(closes)
        assert list(closes) == []
    assert caught.value.after == ids[2]
    with lm.follow("sandbox", since=caught.value.oldest) as closes:
        assert take(closes, 3) == ids[7:]


def test_the_last_one_that_was_seen_is_enough(redis, lm):
    ids = [tell(redis, number) for number in range(10)]
    redis.xtrim(EVENTS, maxlen=3, approximate=False)
    with lm.follow("sandbox", since=ids[7]) as closes:
        assert take(closes, 2) == ids[8:]


def test_a_stream_that_is_lost_and_begun_anew_is_a_gap(redis, lm):
    lost = [tell(redis, number) for number in range(5)][-1]
    redis.delete(EVENTS)
    wait_until(lambda: redis.time()[0] * 1000 > int(lost.partition("-")[0]))
    with lm.follow("sandbox", since=lost) as closes:
        tell(redis, 6)
        with pytest.raises(Gap):
            next(closes)


def test_what_is_told_again_under_its_id_is_handed_out_once(redis, lm):
    """Redis has lost the last of the stream; the runner writes it again."""
    ids = [tell(redis, number) for number in range(6)]
    with lm.follow("sandbox", since="0-0") as closes:
        assert take(closes, 6) == ids
        redis.xtrim(EVENTS, maxlen=0, approximate=False)
        redis.delete(EVENTS)
        for number in range(3):
            tell(redis, number, entry_id=ids[number])
        time_of_last = int(ids[-1].partition("-")[0])
        assert next_number_after(closes, redis, ids, time_of_last) == 6


def next_number_after(closes, redis, ids, last_ms):
    """Tell the rest again, and one more; return the next that is handed out."""
    for number in range(3, 6):
        tell(redis, number, entry_id=ids[number])
    wait_until(lambda: redis.time()[0] * 1000 > last_ms)
    tell(redis, 6)
    return numbers(closes, 1)[0]


def test_who_comes_back_while_the_last_is_lost_is_told_what_may_be_new(redis, lm):
    """Ids may begin behind what is left: a clock that lags, of the server that took over."""
    ids = [tell(redis, number) for number in range(6)]
    redis.delete(EVENTS)
    for number in range(3):
        tell(redis, number, entry_id=ids[number])
    with lm.follow("sandbox", since=ids[5], heartbeat=0.2) as closes:
        assert isinstance(next(closes), Heartbeat)
        again = tell(redis, 4, entry_id=ids[4])
        behind = f"{ids[5].partition('-')[0]}-9"
        redis.xadd(EVENTS, {"event": json.dumps(message(6))}, id=behind)
        found = list(islice((each for each in closes if isinstance(each, Close)), 2))
    assert [each.id for each in found] == [again, behind]
    assert [each.again for each in found] == [True, False]


def test_what_is_told_again_under_a_new_id_is_handed_out_once(redis, lm):
    with lm.follow("sandbox", since="0-0") as closes:
        for number in range(3):
            tell(redis, number)
        for number in range(3):
            tell(redis, number, again=True)
        tell(redis, 3, again=True)
        tell(redis, 1, again=True, late=True)
        tell(redis, 4)
        assert numbers(closes, 5) == [0, 1, 2, 3, 4]


def test_a_late_close_comes_once_and_says_so(redis, lm):
    with lm.follow("sandbox", since="0-0") as closes:
        for number in (0, 2):
            tell(redis, number)
        tell(redis, 1, late=True, healed=True)
        tell(redis, 1, late=True, healed=True, again=True)
        tell(redis, 3)
        found = [next(closes) for _ in range(4)]
    assert [each.row[4] for each in found] == [101, 103, 102, 104]
    assert [each.late for each in found] == [False, False, True, False]


def test_what_is_no_close_is_left_out(redis, lm):
    for text in (b"{", b"[]", b'{"timeframe":"1m"}', b'{"timeframe":"9m"}', b"\xff"):
        redis.xadd(EVENTS, {"event": text})
    redis.xadd(EVENTS, {"other": b"1"})
    with lm.follow("sandbox", since="0-0") as closes:
        wanted = tell(redis, 0)
        assert take(closes, 1) == [wanted]


def test_heartbeats_come_while_nothing_closes(redis, lm):
    say_streamed(redis)
    with lm.follow("sandbox", heartbeat=0.05) as closes:
        assert next(closes).id
        told = tell(redis, 0)
        wait_until(lambda: isinstance(next(closes), Close))
        wait_until(lambda: next(closes) == Heartbeat(told, "sandbox", True))


def test_a_heartbeat_says_that_nobody_streams(redis, lm, monkeypatch):
    monkeypatch.setattr("serving.native.events.SECONDS_BETWEEN_LOOKS", 0.05)
    redis.delete(keys.status(ROW.exchange_id))
    with lm.follow("sandbox", heartbeat=0.05) as closes:
        wait_until(lambda: next(closes).streamed is False)


@pytest.mark.parametrize("how", [
    {"since": "yesterday"}, {"since": "1-2-3"}, {"since": f"{2**64}-0"}, {"since": 5},
    {"on_gap": "skip"}, {"heartbeat": 0}, {"heartbeat": True}, {"timeframes": ["2h"]},
    {"timeframes": "9m"}, {"symbols": ["NO-SUCH"]},
])  # fmt: skip
def test_what_is_asked_wrongly_is_refused_at_once(lm, how):
    with pytest.raises(BadRequest) as caught:
        lm.follow("sandbox", **how)
    assert "\n" not in str(caught.value)


def test_an_exchange_that_there_is_not_is_refused_at_once(lm):
    with pytest.raises(BadRequest, match="sandbocks"):
        lm.follow("sandbocks")


def test_it_ends_where_another_thread_closes_it(redis, lm):
    closes, found = lm.follow("sandbox"), []
    thread = threading.Thread(target=lambda: found.extend(closes), daemon=True)
    thread.start()
    told = tell(redis, 0)
    wait_until(lambda: found)
    closes.close()
    thread.join(5)
    assert not thread.is_alive()
    assert [each.id for each in found] == [told]
    assert list(closes) == []


def test_it_ends_where_its_reader_is_closed(redis, lm, caplog):
    ends = []
    closes = [lm.follow("sandbox", heartbeat=0.1), lm.follow("sandbox", "BTC-USD")]
    threads = [
        threading.Thread(target=lambda each=each: ends.append(list(each))) for each in closes
    ]
    for thread in threads:
        thread.start()
    time.sleep(0.3)  # they wait by then
    lm.close()
    for thread in threads:
        thread.join(5)
    assert len(ends) == 2
    assert "follow.cut_off" not in caplog.text


def test_it_is_ended_where_nobody_holds_it_any_more(redis, lm):
    closes = lm.follow("sandbox", since="0-0")
    tell(redis, 0)
    for _ in closes:
        break
    events = closes._events
    del closes
    assert events._closed.is_set()


def test_many_wait_at_once(redis, lm):
    all_closes = [lm.follow("sandbox") for _ in range(8)]
    found = [[] for _ in all_closes]

    def read(at):
        found[at] = take(all_closes[at], 3)

    threads = [threading.Thread(target=read, args=(at,), daemon=True) for at in range(8)]
    for thread in threads:
        thread.start()
    ids = [tell(redis, number) for number in range(3)]
    deadline = time.monotonic() + 10
    for thread in threads:
        thread.join(deadline - time.monotonic())
    for closes in all_closes:
        closes.close()
    assert found == [ids] * 8
