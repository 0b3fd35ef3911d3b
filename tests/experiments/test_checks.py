"""What the experiments look for, they would find."""

import socket
import threading

import pytest
from redis.exceptions import RedisError

from exchanges.lock.acquire import ExchangeLock
from exchanges.lock.fencing import Fenced
from exchanges.transport import dialing
from exchanges.transport import happy_eyeballs as families
from livermore.market import keys
from livermore.market.timeframe import Timeframe
from tests.experiments.interference.contenders import faults_of_writes
from tests.experiments.interference.partition import RemoteRedis
from tests.experiments.outcome import faults_of
from tests.experiments.promises import ssrf
from tests.experiments.promises.bans import Address, Arrival
from tests.experiments.promises.hostile import faults_of_keys
from tests.experiments.promises.killed import moments, slow_answers
from tests.experiments.promises.soak import Usage, growth
from tests.experiments.watching.claims import Claims
from tests.experiments.watching.monitor import monitored
from tests.warmup.runners import MIDNIGHT_MS, make_row, serve, wait_until
from warmup.cache.candles import CandleCache

M1 = Timeframe.M1


@pytest.fixture
def sandbox():
    with serve(speed=0) as sandbox:
        yield sandbox


@pytest.fixture
def row(transactional_db, sandbox):
    return make_row(sandbox)


def test_what_is_waited_for_in_vain_is_a_fault_of_its_part():
    def in_vain():
        yield "one"
        raise AssertionError("waited in vain")

    assert faults_of("part", lambda: ["one"]) == ["part: one"]
    assert faults_of("part", in_vain) == ["part: one", "part: waited in vain"]


def test_a_check_that_says_nothing_is_shown_itself():
    def checked():
        yield "one"
        assert 2 < 1

    assert any("assert 2 < 1" in text for text in faults_of("part", checked))


def test_two_runs_kill_at_the_same_moments():
    assert moments(9, 1.0, 2.0) == moments(9, 1.0, 2.0)
    assert moments(9, 1.0, 2.0)[:5] == moments(9, 2.0, 3.0)[:5]
    assert slow_answers() == slow_answers()


def test_a_late_write_and_two_writers_are_found():
    assert list(faults_of_writes([(1, b"a"), (1, b"a"), (2, b"b")])) == []
    assert len(list(faults_of_writes([(1, b"a"), (2, b"b"), (1, b"a")]))) == 1
    assert len(list(faults_of_writes([(1, b"a"), (1, b"b")]))) == 1


def test_a_write_is_known_by_its_epoch_and_a_refused_one_is_none(redis):
    old = ExchangeLock(redis, 7).acquire()
    with monitored(redis) as writes:
        CandleCache(redis, 7, old.epoch).write("BTC-USD", M1, [], ((0, M1.ms),))
        new = ExchangeLock(redis, 7).take_over(old.holder.instance_id, "test")
        with pytest.raises(Fenced):
            CandleCache(redis, 7, old.epoch).write("BTC-USD", M1, [], ((0, 2 * M1.ms),))
        CandleCache(redis, 7, new.epoch).write("BTC-USD", M1, [], ((0, 3 * M1.ms),))
        wait_until(lambda: new.epoch in writes.epochs)
    assert writes.epochs == [old.epoch, new.epoch]


def test_a_false_claim_is_found(redis, sandbox, row):
    claims = Claims(redis, sandbox, row)
    claims.look()
    assert claims.false == []
    span = (MIDNIGHT_MS - 9 * M1.ms, MIDNIGHT_MS - 5 * M1.ms)
    CandleCache(redis, row.pk).write("BTC-USD", M1, [], (span,))
    claims.look()
    assert len(claims.false) == 1
    CandleCache(redis, row.pk).write("ETH-USD", M1, [], ((MIDNIGHT_MS, MIDNIGHT_MS + M1.ms),))
    claims.look()
    assert any("claims the future" in text for text in claims.false)


def test_a_key_of_another_name_is_found(redis, row):
    redis.set(keys.coverage(row.pk, "BTC-USD", "1m"), "[]")
    assert list(faults_of_keys(redis, row)) == []
    redis.set(keys.coverage(row.pk, "*", "1m"), "[]")
    assert len(list(faults_of_keys(redis, row))) == 1


def test_a_busy_minute_and_a_call_in_a_ban_are_found(sandbox):
    begun_ms = sandbox.clock.now_ms() - 10_000
    arrivals = [Arrival(begun_ms + ms, 20) for ms in (-70_000, -20_000, 100, 3000)]
    address = Address(sandbox, None, arrivals, [])
    assert address.busiest(60_000) == 60
    arrivals.append(Arrival(begun_ms + 3000, 80, is_ours=False))
    assert address.busiest(60_000) == 60
    arrivals.append(Arrival(begun_ms + 3000, 20))
    assert address.busiest(60_000) == 160
    del arrivals[-2:]
    assert list(address.faults_of_silence(begun_ms, 2)) == []
    assert list(address.faults_of_silence(begun_ms, 4)) == [
        "calls arrived [3000] ms after it had begun"
    ]


def test_what_grows_is_found():
    windows = [Usage(70_000_000 + min(number, 9) * 10**6, 6, 14, 16, 99) for number in range(40)]
    assert list(growth(windows)) == []
    of_a_mb_in_ten_minutes = [
        Usage(80_000_000 + number * 250_000, 6 + number // 3, 14 + number // 2, 16, 99 + 3 * number)
        for number in range(40)
    ]
    assert [text.split()[0] for text in growth(of_a_mb_in_ten_minutes)] == [
        "memory",
        "files",
        "sockets",
        "keys",
    ]


def test_data_that_is_written_without_an_epoch_is_found(redis):
    with monitored(redis) as writes:
        redis.get(keys.coverage(7, "BTC-USD", "1m"))
        redis.set(keys.coverage(7, "BTC-USD", "1m"), "[]")
        wait_until(lambda: writes.unguarded)
    assert writes.unguarded == ["SET coverage:7:BTC-USD:1m"]


def test_a_name_that_is_checked_and_then_asked_for_again_is_found(
    transactional_db, redis, monkeypatch
):
    trials, connect = ssrf.Trials(redis), families._connecting
    assert list(trials.rebound_by_turns()) == []
    monkeypatch.setattr(
        families,
        "_connecting",
        lambda address, port: connect(socket.getaddrinfo(ssrf.NAME, port)[0][4][0], port),
    )
    assert any("sockets were connected" in text for text in trials.rebound_by_turns())


def test_a_reply_is_lost_but_not_what_was_asked_for(tmp_path):
    with RemoteRedis(tmp_path) as server, server.client() as client:
        client.set("a", 1)
        thread = threading.Thread(target=server.part, args=[0.2])
        server.wire.go_deaf_at_a_close()
        thread.start()
        with pytest.raises(RedisError):
            client.set("a", '"closed":true')
        thread.join(10)
        assert client.get("a") == b'"closed":true'
        assert server.wire.lost


def test_an_unchecked_connection_is_found(transactional_db, redis, monkeypatch):
    monkeypatch.setattr(ssrf, "LEADS_TO", ["127.0.0.1"])
    trials = ssrf.Trials(redis)
    assert list(trials.rebound()) == []
    monkeypatch.setattr(dialing, "addresses_of", lambda host, *_: ["127.0.0.1"])
    assert any("sockets were connected" in text for text in trials.rebound())
