"""One exchange's life, from its lock to its last flush."""

import logging
import threading

import orjson
import pytest

from exchanges.errors import Unreachable
from exchanges.lock.acquire import ExchangeLock, Held
from exchanges.lock.control_client import ControlClient
from exchanges.lock.status import State, read_status
from exchanges.rest.pacing.host import host_of
from exchanges.rest.pacing.usage import read_usage
from livermore.market import keys
from livermore.market.timeframe import LONGEST_FIRST, SHORTEST_FIRST, Timeframe
from tests.warmup.runners import (
    MINUTE_MS,
    SYMBOLS,
    Comparison,
    Running,
    events_of,
    hurry,
    make_row,
    running,
    serve,
    wait_until,
)
from warmup.runner.commands import RunnerCommands
from warmup.runner.runner import ExchangeRunner

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sandbox():
    with serve() as server:
        yield server


@pytest.fixture
def row(redis, sandbox):
    return make_row(sandbox)


def test_the_lock_is_there_before_the_first_call_and_until_the_last_write(redis, row, sandbox):
    sandbox.requests.reset()
    lease = ExchangeLock(redis, row.pk).acquire()
    with pytest.raises(Held) as caught:
        ExchangeRunner(redis, row, SYMBOLS).run()
    assert caught.value.holder == lease.holder
    assert not sandbox.requests.counts
    lease.release()
    with running(redis, row):
        assert ExchangeLock(redis, row.pk).holder().epoch > lease.epoch
    assert not redis.exists(keys.lock(row.pk))


def test_the_progress_of_the_warmup_is_told_and_is_in_the_status(redis, row, sandbox):
    sandbox.scenarios.add("slow", delay=0.2)
    told = []
    one = Running(redis, row, on_warmup=lambda stats: told.append(stats.percent))
    warming = wait_until(
        lambda: (status := read_status(redis, row.pk)).state is State.WARMING and status
    )
    assert warming.phase in ("warming", "repairing")
    sandbox.scenarios.clear()
    one.wait_until_live().stop()
    assert told == sorted(told)
    assert told[-1] == 100


def test_the_status_of_a_live_exchange_says_how_it_goes(redis, row, sandbox):
    with running(redis, row):
        wait_until(lambda: read_status(redis, row.pk).details["closes"] >= 6)
        status = read_status(redis, row.pk)
    details = status.details
    assert (status.state, status.phase) == (State.ACTIVE, "streaming")
    assert (details["symbols"], details["connections"], details["pendingCloses"]) == (3, 1, 0)
    assert details["frames"] > 0
    assert details["newestClose"] % MINUTE_MS == 0
    assert abs(details["newestClose"] - sandbox.clock.now_ms()) < 5 * MINUTE_MS


@pytest.mark.parametrize("name", ["sandbox", "coinbase"])
@pytest.mark.parametrize("way", ["error", "silent", "left_out"])
def test_what_is_refused_on_the_stream_closes_by_rest_and_is_named(redis, sandbox, name, way):
    sandbox.scenarios.add("refuse_subscription", way=way, symbol="ETH-USD")
    row = make_row(sandbox, name)
    truth = Comparison(redis, sandbox, row)
    with running(redis, row):
        live_ms = sandbox.clock.now_ms()
        details = wait_until(lambda: told_by(redis, row, name, way))
        truth.wait(sandbox.clock.now_ms() + 2 * MINUTE_MS)
        assert truth.faults(since_ms=live_ms) == []
        assert read_status(redis, row.pk).details["connections"] == 1
    polled = {"ETH-USD": [str(each) for each in SHORTEST_FIRST]}
    if (name, way) == ("sandbox", "left_out"):  # answered for as if it were there
        polled = {}
    assert (details["polledPairs"], details["polled"]) == (polled, 6 * len(polled))


def told_by(redis, row, name, way):
    """Return what a runner says once it knows what is refused."""
    details = read_status(redis, row.pk).details
    return details if details["polled"] == 6 or (name, way) == ("sandbox", "left_out") else None


@pytest.mark.parametrize("name", ["sandbox", "coinbase"])
def test_a_connection_that_answers_and_sends_nothing_is_replaced(redis, sandbox, name, monkeypatch):
    hurry(monkeypatch)
    row = make_row(sandbox, name)
    truth = Comparison(redis, sandbox, row)
    with running(redis, row):
        truth.wait(sandbox.clock.now_ms())
        live_ms = sandbox.clock.now_ms()
        sandbox.scenarios.add("answers_only", sockets="old")
        wait_until(lambda: read_status(redis, row.pk).details["reconnects"])
        truth.wait(sandbox.clock.now_ms() + MINUTE_MS)
        assert truth.faults(since_ms=live_ms) == []


def test_what_a_listener_receives_is_what_the_stream_of_events_keeps(redis, row, sandbox):
    with redis.pubsub() as listening:
        listening.subscribe(keys.close_channel(row.pk, "BTC-USD", LONGEST_FIRST[-1]))
        assert listening.get_message(timeout=5)["type"] == "subscribe"
        with running(redis, row):
            wait_until(lambda: len(events_of(redis, row.pk).get(("BTC-USD", "1m"), [])) >= 3)
        received = list(iter(lambda: listening.get_message(timeout=0.2), None))
    events = redis.xrange(keys.events(row.pk))
    in_stream = [
        fields[b"event"]
        for _, fields in events
        if b'"BTC-USD","timeframe":"1m"' in fields[b"event"]
    ]
    assert [message["data"] for message in received] == in_stream


@pytest.mark.parametrize("name", ["sandbox", "coinbase"])
def test_started_again_it_tells_no_close_twice_and_misses_none(redis, sandbox, name):
    row = make_row(sandbox, name)
    truth = Comparison(redis, sandbox, row)
    with running(redis, row):
        truth.wait(sandbox.clock.now_ms() + MINUTE_MS)
    sandbox.clock.advance(300 * MINUTE_MS)  # nobody runs it for five hours
    with running(redis, row):
        truth.wait(sandbox.clock.now_ms() + MINUTE_MS)
        assert truth.faults() == []
    times = [event["timestamp"] for event in events_of(redis, row.pk)[("BTC-USD", "1m")]]
    assert times == sorted(set(times))


def test_while_what_was_missed_is_fetched_it_is_subscribed(redis, row, sandbox):
    truth = Comparison(redis, sandbox, row)
    with running(redis, row):
        truth.wait(sandbox.clock.now_ms() + MINUTE_MS)
    sandbox.clock.advance(10 * MINUTE_MS)
    sandbox.scenarios.add("slow", delay=1.5)
    before = sandbox.streams["binance"].messages
    one = Running(redis, row)
    wait_until(lambda: sandbox.streams["binance"].messages > before)
    assert read_status(redis, row.pk).state is State.WARMING
    sandbox.scenarios.clear()
    one.wait_until_live()
    truth.wait(sandbox.clock.now_ms() + MINUTE_MS)
    assert truth.faults() == []
    one.stop()


def test_told_to_stop_before_it_began_it_only_takes_and_frees_the_lock(redis, row, sandbox):
    runner = ExchangeRunner(redis, row, SYMBOLS)
    runner.stop()
    runner.run()
    assert sandbox.streams["binance"].connects == 0
    assert read_status(redis, row.pk).state is State.STOPPED
    assert not redis.exists(keys.lock(row.pk))


def test_told_to_stop_in_the_middle_of_a_warmup_it_breaks_it_off(redis, row, sandbox):
    begun = threading.Event()
    sandbox.scenarios.add("slow", delay=0.3)
    one = Running(redis, row, on_warmup=lambda stats: begun.set())
    assert begun.wait(10)
    one.stop()
    assert one.error is None
    assert read_status(redis, row.pk).state is State.STOPPED


def test_told_to_stop_while_the_exchange_does_not_answer_it_ends(redis, row, sandbox):
    slow = sandbox.scenarios.add("slow", delay=12)
    one = Running(redis, row)
    wait_until(lambda: slow.hits)
    one.stop()
    assert one.error is None


def test_told_to_stop_in_the_middle_of_a_repair_it_breaks_it_off(redis, row, sandbox):
    with running(redis, row):
        pass
    name = keys.coverage(row.pk, "BTC-USD", "1d")
    [[from_ms, to_ms]] = orjson.loads(redis.get(name))
    hole_ms = to_ms - 10 * Timeframe.D1.ms
    redis.set(name, orjson.dumps([[from_ms, hole_ms], [hole_ms + Timeframe.D1.ms, to_ms]]))
    slow = sandbox.scenarios.add("slow", delay=12, symbol="BTC-USD", timeframe="1d")
    one = Running(redis, row)
    wait_until(lambda: slow.hits)
    wait_until(lambda: read_status(redis, row.pk).phase == "repairing")
    one.stop()
    assert one.error is None


def test_in_the_end_what_streams_is_over_before_anything_waits_for_the_exchange(
    redis, row, sandbox, monkeypatch
):
    answered, close = threading.Event(), RunnerCommands.close

    def close_once_answered(self):
        assert answered.wait(20)
        close(self)

    monkeypatch.setattr(RunnerCommands, "close", close_once_answered)
    one = Running(redis, row).wait_until_live()
    one.runner.stop()
    try:
        wait_until(lambda: sandbox.streams["binance"].open == 0)
        wait_until(lambda: one.runner.measured()["pendingCloses"] == 0)
        assert not one.ended
    finally:
        answered.set()
        one.stop()


def test_an_exchange_that_is_gone_is_an_error_that_the_status_keeps(redis, row, sandbox):
    sandbox.stop()
    with pytest.raises(Unreachable):
        ExchangeRunner(redis, row, SYMBOLS).run()
    status = read_status(redis, row.pk)
    assert status.state is State.ERROR
    assert "cannot be reached" in status.phase
    assert not redis.exists(keys.lock(row.pk))


def test_taken_over_while_the_stream_is_silent_it_says_by_whom(redis, row, sandbox, monkeypatch):
    monkeypatch.setitem(ExchangeLock.__init__.__kwdefaults__, "renew_ms", 300)
    one = Running(redis, row).wait_until_live()
    sandbox.scenarios.add("silence")
    sandbox.scenarios.add("rest_429")
    lock = ExchangeLock(redis, row.pk)
    with lock.take_over(lock.holder().instance_id, "a test") as lease:
        wait_until(lambda: one.ended)
        assert str(one.error).startswith("stopped: taken over by ")
        assert lock.holder() == lease.holder
        assert sandbox.streams["binance"].open == 0


def test_the_exchanges_limits_are_kept(redis, row, sandbox):
    client = ControlClient(redis, row.pk)
    with running(redis, row):
        assert client.wait(client.send("remove-symbol", symbol="ETH-USD"), 20).ok
        assert client.wait(client.send("add-symbol", symbol="ETH-USD"), 20).ok
        wait_until(lambda: sandbox.streams["binance"].subscriptions["ethusd@kline_1m"])
        counts = sandbox.streams["binance"]
        assert counts.most_messages_per_second <= 5
        assert counts.most_frame_bytes < 4088
        assert (counts.connects, counts.refused, counts.too_slow) == (1, 0, 0)


def test_a_start_that_needs_no_call_for_candles_asks_for_the_limits(redis, row, sandbox):
    with running(redis, row) as one:
        one.wait_until_live()
    redis.delete(keys.pacing(host_of(row.rest_url)))
    with running(redis, row):
        wait_until(lambda: read_usage(redis, host_of(row.rest_url)).weight_limit == 6000)


def test_nothing_of_it_is_left_running(redis, row):
    before = set(threading.enumerate())
    with running(redis, row):
        pass
    left = {each for each in threading.enumerate() if each not in before}
    wait_until(lambda: not [each for each in left if each.is_alive()], 5)


def test_that_it_streams_is_told_once_and_no_more(redis, row, caplog):
    caplog.set_level(logging.INFO, "warmup.runner.runner")
    with running(redis, row):
        epoch = ExchangeLock(redis, row.pk).holder().epoch
    (told,) = (record for record in caplog.records if record.name == "warmup.runner.runner")
    text = f"runner.streaming exchange=sandbox symbols=3 streams=19 epoch={epoch}"
    assert (told.levelname, told.getMessage()) == ("INFO", text)


def test_a_redis_that_evicts_is_warned_of_once(redis, row, caplog):
    redis.config_set("maxmemory", "1gb", "maxmemory-policy", "allkeys-lru")
    try:
        with running(redis, row):
            wait_until(lambda: read_status(redis, row.pk).details["closes"] > 0)
    finally:
        redis.config_set("maxmemory", 0, "maxmemory-policy", "noeviction")
    (told,) = (record for record in caplog.records if record.name == "warmup.runner.runner")
    text = "runner.redis_evicts exchange=sandbox policy=allkeys-lru maxmemory=1073741824 used="
    assert told.levelname == "WARNING"
    assert told.getMessage().startswith(text)
