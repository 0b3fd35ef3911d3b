import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest
import redis as redis_client

from exchanges.errors import Temporary
from exchanges.lock import control, control_reader
from exchanges.lock.acquire import ExchangeLock
from exchanges.lock.control import COMMANDS, Reply
from exchanges.lock.control_client import ControlClient, NoReply
from exchanges.lock.control_reader import ControlReader
from exchanges.lock.fencing import Fenced
from livermore.market import keys

ROOT = Path(__file__).resolve().parents[3]
STREAM = keys.control(7)


def wait_until(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


@pytest.fixture
def lease(redis):
    return ExchangeLock(redis, 7).acquire()


@pytest.fixture
def client(redis):
    return ControlClient(redis, 7)


@pytest.fixture
def open_reader(redis, lease):
    """Open a reader as the start of a runner does."""
    opened = []

    def open_reader(lease=lease, **options):
        opened.append(ControlReader(redis, 7, lease, **options))
        return opened[-1]

    yield open_reader
    for reader in opened:
        reader.close()


@pytest.fixture
def reader(open_reader):
    return open_reader()


@contextmanager
def in_thread(function, *arguments):
    thread = threading.Thread(target=function, args=arguments)
    thread.start()
    yield
    thread.join(10)
    assert not thread.is_alive()


def message(**changes):
    return {"requestId": "r", "command": "stop", "arguments": {}} | changes


def put(redis, content, entry_id="*"):
    text = content if isinstance(content, bytes) else orjson.dumps(content)
    return redis.xadd(STREAM, {"kind": "command", "message": text}, id=entry_id)


def pending(redis):
    return redis.xpending(STREAM, "holder")["pending"]


# Asked and answered


def test_a_command_arrives_with_its_arguments(client, reader):
    request_id = client.send("add-symbol", symbol="BTC-USD", command="no clash")
    [command] = reader.poll()
    assert (command.request_id, command.name) == (request_id, "add-symbol")
    assert command.arguments == {"symbol": "BTC-USD", "command": "no clash"}
    assert abs(command.sent_ms - time.time() * 1000) < 5000
    assert not command.again


def test_commands_come_once_and_in_order(client, reader):
    sent = [client.send("remove-symbol", symbol=f"{n}-USD") for n in range(5)]
    assert [command.request_id for command in reader.poll()] == sent
    assert reader.poll(50) == []


def test_every_reply_finds_its_request(client, reader):
    requests = [client.send("force-backfill"), client.send("add-symbol", symbol="?")]
    backfill, add = reader.poll()
    reader.fail(add, "no such symbol")
    reader.done(backfill, {"fetched": 6})
    assert client.wait(requests[0], 5) == Reply(requests[0], True, True, {"fetched": 6})
    assert client.wait(requests[1], 5) == Reply(requests[1], True, False, None, "no such symbol")


def test_a_reply_is_found_later_and_from_elsewhere(client, reader, redis):
    request_id = client.send("stop")
    reader.done(reader.poll()[0])
    assert ControlClient(redis, 7).wait(request_id, 0).ok


def test_progress_comes_before_the_end(client, reader):
    request_id = client.send("bulk-add-symbols", symbols=["A-USD", "B-USD"])
    [command] = reader.poll()
    replies = client.replies(request_id, 5)
    reader.reply(command, {"done": 1})
    assert next(replies) == Reply(request_id, False, True, {"done": 1})
    reader.reply(command, {"done": 2})
    assert next(replies).result == {"done": 2}
    reader.done(command)
    assert [reply.final for reply in replies] == [True]


def test_whoever_waits_is_told_of_progress(client, reader):
    request_id = client.send("force-backfill")
    told = []

    def answer():
        [command] = reader.poll()
        reader.reply(command, "half")
        wait_until(lambda: told)
        reader.done(command)

    with in_thread(answer):
        assert client.wait(request_id, 5, told.append).ok
    assert [reply.result for reply in told] == ["half"]


def test_a_poll_wakes_as_soon_as_a_command_comes(client, reader, redis):
    found = []
    with in_thread(lambda: found.extend(reader.poll(8000))):
        wait_until(lambda: redis.info("clients")["blocked_clients"] == 1)
        started = time.monotonic()
        client.send("stop")
    assert [command.name for command in found] == ["stop"]
    assert time.monotonic() - started < 2


def test_waiting_outlasts_the_timeout_of_the_callers_own_client(redis, lease):
    path = redis.connection_pool.connection_kwargs["path"]
    with redis_client.Redis(unix_socket_path=path, socket_timeout=0.05) as hasty:
        reader = ControlReader(hasty, 7, lease)
        assert reader.poll(200) == []
        reader.close()
        client = ControlClient(hasty, 7)
        with pytest.raises(NoReply, match="gave no answer"):
            client.wait(client.send("stop"), 0.2)
    assert issubclass(NoReply, Temporary)


def test_waiting_goes_on_past_one_block(client, reader, monkeypatch):
    monkeypatch.setattr(control, "LONGEST_BLOCK_MS", 20)
    with pytest.raises(NoReply):
        client.wait(client.send("stop"), 0.1)
    assert [command.name for command in reader.poll(100)] == ["stop"]


def test_the_client_knows_the_commands(client):
    with pytest.raises(ValueError, match="add-symbol"):
        client.send("add-symbols")
    assert {"stop", "takeover", "force-backfill", "add-symbol", "bulk-add-symbols"} < COMMANDS
    assert "remove-symbol" in COMMANDS


# Done once

KILLED = """
import os
from redis import Redis
from exchanges.lock.control_reader import ControlReader
from exchanges.lock.acquire import ExchangeLock
redis = Redis.from_url(os.environ["REDIS_URL"])
lease = ExchangeLock(redis, 7).acquire()
[command] = ControlReader(redis, 7, lease).poll(20_000)
print(command.request_id, flush=True)
input()
"""


def test_a_command_survives_the_kill_of_its_reader_and_is_done_once(client, redis, open_reader):
    lock = ExchangeLock(redis, 7)
    lock.take_over(lock.holder().instance_id, "the test's own").release()
    request_id = client.send("force-backfill")
    with subprocess.Popen(
        [sys.executable, "-c", KILLED],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        text=True,
    ) as killed:
        assert killed.stdout.readline().strip() == request_id
        killed.kill()
    lease = lock.take_over(lock.holder().instance_id, "it was killed")
    reader = open_reader(lease)
    [command] = reader.poll()
    assert (command.request_id, command.again) == (request_id, True)
    reader.done(command, "done by the second")
    assert open_reader(lease).poll(50) == []
    assert client.wait(request_id, 5).result == "done by the second"


def test_a_command_that_came_while_nobody_read_is_told_from_a_new_one(client, redis, open_reader):
    client.send("stop")
    lock = ExchangeLock(redis, 7)
    lease = lock.take_over(lock.holder().instance_id, "test")
    [command] = open_reader(lease).poll()
    assert command.sent_ms <= lease.holder.connected_since


def test_a_command_whose_delivery_was_lost_on_the_way_comes_again(client, reader, redis, lease):
    request_id = client.send("stop")
    control_reader.FETCH(redis, [STREAM, keys.epoch(7)], [lease.epoch])
    assert [command.request_id for command in reader.poll()] == [request_id]


def test_a_command_that_arrived_twice_is_done_once(client, reader, redis):
    request_id = client.send("stop")
    [(_, fields)] = redis.xrange(STREAM)
    redis.xadd(STREAM, fields)
    [command] = reader.poll()
    redis.xadd(STREAM, fields)
    assert reader.poll() == []
    reader.done(command, "once")
    redis.xadd(STREAM, fields)
    assert reader.poll() == []
    assert [reply.result for reply in client.replies(request_id, 5)] == ["once"]
    assert pending(redis) == 0


def test_only_the_first_end_counts(client, reader, redis):
    request_id = client.send("stop")
    [command] = reader.poll()
    reader.done(command, "first")
    reader.fail(command, "second")
    assert client.wait(request_id, 5).result == "first"
    assert redis.xlen(STREAM) == 2


def test_whoever_lost_the_exchange_reads_and_answers_nothing(client, redis, reader, open_reader):
    mine = client.send("stop")
    [command] = reader.poll()
    lock = ExchangeLock(redis, 7)
    lease = lock.take_over(lock.holder().instance_id, "test")
    theirs = client.send("add-symbol", symbol="BTC-USD")
    for late in (
        reader.poll,
        lambda: reader.reply(command, 1),
        lambda: reader.done(command),
        lambda: reader.fail(command, "late"),
    ):
        with pytest.raises(Fenced):
            late()
    assert [found.request_id for found in open_reader(lease).poll()] == [mine, theirs]


def test_a_stream_that_redis_lost_is_begun_anew(client, redis, reader):
    reader.poll()
    redis.delete(STREAM)
    client.send("stop")
    assert [command.name for command in reader.poll()] == ["stop"]


def test_much_progress_pushes_no_unread_command_out(client, reader, redis):
    client.send("force-backfill")
    [busy] = reader.poll()
    unread = client.send("stop")
    for n in range(2500):
        reader.reply(busy, n)
    assert redis.xlen(STREAM) == 3
    assert [command.request_id for command in reader.poll()] == [unread]


def test_the_stream_stays_short(client, redis):
    for _ in range(1500):
        client.send("stop")
    assert redis.xlen(STREAM) < 1200


# Refused


def test_a_command_that_is_too_old_is_answered_and_not_run(client, reader, redis):
    eleven_minutes_ago = int(time.time() * 1000) - 11 * 60_000
    put(redis, message(), f"{eleven_minutes_ago}-0")
    assert reader.poll() == []
    reply = client.wait("r", 5)
    assert (reply.ok, reply.error) == (False, "Expired: sent 11 min ago, send it again if wanted")
    assert pending(redis) == 0


def test_nine_minutes_are_not_too_old_unless_somebody_says_so(reader, open_reader, redis):
    nine_minutes_ago = int(time.time() * 1000) - 9 * 60_000
    put(redis, message(), f"{nine_minutes_ago}-0")
    assert len(reader.poll()) == 1
    assert open_reader(oldest_run_seconds=300).poll() == []


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (message(command="format-disk"), "Unknown command"),
        (message(command=None), "without command"),
        (message(arguments=["BTC-USD"]), "no JSON object"),
    ],
)
def test_a_command_that_makes_no_sense_is_answered(content, error, client, reader, redis):
    put(redis, content)
    assert reader.poll() == []
    assert error in client.wait("r", 5).error
    assert pending(redis) == 0


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "command", "message": b"\xff{"},
        {"kind": "command", "message": b"[1]"},
        {"kind": "command", "message": b"{}"},
        {"kind": "command", "message": b'{"requestId": 5, "command": "stop"}'},
        {"kind": "command"},
        {"kind": "reply"},
        {"kind": "reply", "message": b"null"},
        {"nothing": "known"},
    ],
)
def test_rubbish_stops_neither_reader_nor_client(fields, client, reader, redis):
    redis.xadd(STREAM, fields)
    request_id = client.send("stop")
    [command] = reader.poll()
    assert command.request_id == request_id
    reader.done(command)
    assert client.wait(request_id, 5).ok
    assert reader.poll() == []
    assert pending(redis) == 0


def test_a_command_cut_from_the_stream_while_pending_is_forgotten(client, open_reader, redis):
    client.send("stop")
    open_reader().poll()
    redis.xtrim(STREAM, maxlen=0, approximate=False)
    assert open_reader().poll() == []
    assert pending(redis) == 0


def test_redis_gone_is_an_error_at_once_and_not_a_hang(lease):
    with redis_client.Redis(port=1) as nowhere:
        reader = ControlReader(nowhere, 7, lease)
        started = time.monotonic()
        with pytest.raises(redis_client.ConnectionError):
            reader.poll(5000)
        assert time.monotonic() - started < 2
