import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
import redis as redis_client

from exchanges.errors import Permanent, Temporary
from exchanges.lock import acquire as instances
from exchanges.lock import lease
from exchanges.lock.acquire import ExchangeLock, Held
from exchanges.lock.fencing import Fenced, refusals
from exchanges.lock.lease import LostLock, NotRenewed
from exchanges.lock.status import State, Status, read_status
from exchanges.redis.client import own_client
from exchanges.redis.scripts import load_script
from livermore.market import keys
from livermore.running import embedded_redis
from tests.fixtures.redis_server import Server

ROOT = Path(__file__).resolve().parents[3]
FENCED_SET = (
    load_script("exchanges/lock/lua/fence.lua").text
    + """
local refused = fence(KEYS[2], ARGV[1])
if refused then return refused end
redis.call('SET', KEYS[1], ARGV[2])
"""
)


@contextmanager
def process(code):
    """A process of its own that runs `code` with `redis`, told what to do by lines."""
    start = "import os\nfrom redis import Redis\nredis = Redis.from_url(os.environ['REDIS_URL'])\n"
    child = subprocess.Popen(
        [sys.executable, "-u", "-c", start + code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
        text=True,
    )
    try:
        yield child
    finally:
        child.kill()
        child.wait()
        child.stdin.close()
        child.stdout.close()


def tell(child, line=""):
    child.stdin.write(f"{line}\n")
    child.stdin.flush()


def read_line(child):
    return child.stdout.readline().split()


def wait_until(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


def wait_for_time(seconds):
    end = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() >= end, seconds + 5)


def server_ms(redis):
    seconds, microseconds = redis.time()
    return seconds * 1000 + microseconds // 1000


def write(redis, epoch, value="written"):
    with refusals():
        redis.eval(FENCED_SET, 2, "test:fenced", keys.epoch(7), epoch, value)


@pytest.fixture
def lock(redis):
    return ExchangeLock(redis, 7)


@pytest.fixture
def quick(redis):
    return ExchangeLock(redis, 7, ttl_ms=900, renew_ms=200)


@pytest.fixture
def clock(monkeypatch):
    """Return a function that moves the leases' clock."""
    ahead = 0.0
    now = lease.now
    monkeypatch.setattr(lease, "now", lambda: now() + ahead)

    def advance(seconds):
        nonlocal ahead
        ahead += seconds

    return advance


# The lock

CONTENDER = """
from exchanges.lock.acquire import ExchangeLock, Held
lock = ExchangeLock(redis, 7)
redis.ping()
print("ready")
while line := input():
    if line == "release":
        lease.release()
        continue
    try:
        lease = lock.acquire()
    except Held as held:
        print("held", held.holder.epoch)
    else:
        print("won", lease.epoch)
"""


def test_of_ten_processes_that_race_exactly_one_wins(redis):
    with ExitStack() as stack:
        racers = [stack.enter_context(process(CONTENDER)) for _ in range(10)]
        assert [read_line(racer) for racer in racers] == [["ready"]] * 10
        epochs = []
        for _ in range(10):
            for racer in racers:
                tell(racer, "race")
            said = [read_line(racer) for racer in racers]
            [winner] = [i for i, (outcome, _) in enumerate(said) if outcome == "won"]
            assert len({epoch for _, epoch in said}) == 1, "all name the same holder"
            epochs.append(int(said[winner][1]))
            tell(racers[winner], "release")
            wait_until(lambda: not redis.exists(keys.lock(7)))
    assert epochs == sorted(set(epochs))


def test_the_lock_is_stored_as_the_contract_says(lock, redis):
    lease = lock.acquire()
    stored = json.loads(redis.get("exchange:7:lock"))
    assert stored == lease.holder.as_json()
    assert set(stored) == {"instanceId", "epoch", "hostname", "ip", "pid", "connectedSince"}
    assert stored["pid"] == os.getpid()
    assert abs(stored["connectedSince"] - time.time() * 1000) < 5000
    assert 11_000 < redis.pttl("exchange:7:lock") <= 12_000
    assert int(redis.get("exchange:7:epoch")) == stored["epoch"]
    assert lock.holder() == lease.holder


def test_whoever_comes_second_learns_in_one_line_who_is_there(lock):
    first = lock.acquire().holder
    with pytest.raises(Held) as refused:
        lock.acquire()
    assert refused.value.holder == first
    assert isinstance(refused.value, Temporary)
    text = str(refused.value)
    assert f"{first.hostname} ({first.ip})" in text
    assert f"process {first.pid}" in text
    assert " UTC" in text and "\n" not in text


def test_two_exchanges_have_two_locks(redis):
    leases = [ExchangeLock(redis, exchange_id).acquire() for exchange_id in (7, 8)]
    assert all(lease.may_write() for lease in leases)


def test_a_released_lock_is_free_and_the_next_epoch_is_higher(lock):
    first = lock.acquire()
    first.release()
    assert lock.holder() is None
    assert not first.may_write()
    assert lock.acquire().epoch > first.epoch


def test_a_former_holder_releases_nothing(lock, redis):
    former = lock.acquire()
    redis.delete(keys.lock(7))
    holder = lock.acquire().holder
    former.release()
    former.release()
    assert lock.holder() == holder


def test_an_acquisition_whose_reply_was_lost_is_the_same_one_when_repeated(lock, redis):
    names = [keys.lock(7), keys.epoch(7), keys.status(7)]
    arguments = ['{"instanceId": "mine"}', 45_000, ""]
    first = instances.ACQUIRE(redis, names, arguments)
    assert instances.ACQUIRE(redis, names, arguments) == first


def test_what_was_taken_without_an_answer_is_given_back(tmp_path):
    with closing(Server(tmp_path)) as server, server.client() as redis:
        hasty = own_client(redis, 0.2)
        ExchangeLock(hasty, 8).acquire().release()  # so that it knows the script
        server.halt()
        with pytest.raises(redis_client.TimeoutError):
            ExchangeLock(hasty, 7).acquire()
        server.go_on()
        wait_until(lambda: redis.exists(keys.epoch(7)))  # by now it was decided
        wait_until(lambda: not redis.exists(keys.lock(7)))


def test_an_epoch_is_higher_even_after_redis_lost_everything(lock, redis):
    before = lock.acquire()
    for _ in range(3):
        before = lock.take_over(before.holder.instance_id, "test")
    wait_until(lambda: server_ms(redis) > before.epoch)
    redis.flushall()
    assert lock.acquire().epoch > before.epoch


def test_an_epoch_is_higher_even_if_the_servers_clock_went_back(lock, redis):
    redis.set(keys.epoch(7), 10**13)
    assert lock.acquire().epoch == 10**13 + 1


def test_a_client_that_decodes_is_served_too(redis):
    options = redis.connection_pool.connection_kwargs
    with redis_client.Redis(unix_socket_path=options["path"], decode_responses=True) as decoding:
        lock = ExchangeLock(decoding, 7)
        with lock.acquire() as lease:
            lease.report(State.IDLE)
            assert lock.holder() == lease.holder
            wait_until(lambda: read_status(decoding, 7).state is State.IDLE)


# Taking over


def test_a_takeover_names_the_holder_it_ends(lock, redis):
    old = lock.acquire()
    new = lock.take_over(old.holder.instance_id, "moving to another machine")
    assert lock.holder() == new.holder
    assert new.epoch > old.epoch
    write(redis, new.epoch)
    with pytest.raises(Fenced):
        write(redis, old.epoch)


def test_a_takeover_from_somebody_who_was_replaced_is_refused(lock):
    first = lock.acquire()
    second = lock.take_over(first.holder.instance_id, "test")
    with pytest.raises(Held) as refused:
        lock.take_over(first.holder.instance_id, "too late")
    assert refused.value.holder == second.holder
    assert lock.holder() == second.holder


def test_a_takeover_from_somebody_who_has_gone_is_an_acquisition(lock):
    first = lock.acquire()
    first.release()
    assert lock.take_over(first.holder.instance_id, "test").may_write()


def test_whoever_was_taken_over_learns_by_whom(quick):
    with quick.acquire() as old:
        new = quick.take_over(old.holder.instance_id, "test")
        assert old.lost.wait(5)
        assert old.lost_reason == f"taken over by {new.holder.hostname} ({new.holder.ip})"
        assert not old.may_write()
        with pytest.raises(LostLock, match="taken over by"):
            old.check()
    assert quick.holder() == new.holder


def test_a_refused_writer_need_not_wait_for_the_next_renewal(lock):
    with lock.acquire() as old:
        lock.take_over(old.holder.instance_id, "test")
        old.recheck()
        assert old.lost.wait(5), "the next renewal was 15 s away"


# The heartbeat


def test_the_heartbeat_keeps_the_lock_beyond_its_ttl(quick):
    with quick.acquire() as lease:
        wait_for_time(3 * 0.9)
        wait_until(lease.may_write, 1)
        assert quick.holder() == lease.holder
    assert quick.holder() is None


def test_another_threads_long_command_does_not_delay_the_heartbeat(redis):
    options = redis.connection_pool.connection_kwargs
    pool = redis_client.BlockingConnectionPool(
        connection_class=redis_client.UnixDomainSocketConnection,
        path=options["path"],
        max_connections=1,
    )
    with redis_client.Redis.from_pool(pool) as single:
        lease = ExchangeLock(single, 7, ttl_ms=900, renew_ms=200).acquire().start()
        busy = threading.Thread(target=single.blpop, args=["test:nothing", 1.5])
        busy.start()
        busy.join(10)
        wait_until(lease.may_write, 1)
        lease.release()


def test_without_renewal_for_half_the_ttl_nothing_may_be_written(lock, clock):
    lease = lock.acquire()
    clock(5.5)
    lease.check()
    clock(1)
    assert not lease.may_write()
    with pytest.raises(NotRenewed):
        lease.check()
    lease.start()
    lease.recheck()
    wait_until(lease.may_write)
    lease.release()
    with pytest.raises(LostLock):
        lease.check()


def test_a_renewal_counts_from_when_it_was_sent(lock, clock):
    lease = lock.acquire()
    renew = lease._renew_script

    def renew_and_be_stopped(**call):
        answer = renew(**call)
        clock(6.5)
        return answer

    lease._renew_script = renew_and_be_stopped
    assert lease._renew()
    assert not lease.may_write()


def test_a_lock_that_ended_is_lost_even_if_nobody_took_it(quick, redis):
    with quick.acquire() as lease:
        redis.delete(keys.lock(7))
        assert lease.lost.wait(5)
        assert "without a renewal" in lease.lost_reason
        assert quick.holder() is None


def test_a_renewal_that_comes_too_rarely_is_refused(redis):
    with pytest.raises(ValueError, match="below half"):
        ExchangeLock(redis, 7, ttl_ms=1000, renew_ms=500)


KEEPING = """
import time
from exchanges.lock.acquire import RENEW_MS, TTL_MS, ExchangeLock
lease = ExchangeLock(redis, 7, ttl_ms=TTL_MS // 4, renew_ms=RENEW_MS // 4).acquire().start()
while lease.may_write():
    time.sleep(0.001)
    print("holding", lease.epoch)
    input()
"""


@pytest.mark.parametrize("phase", [0.1, 0.5, 0.9])
def test_a_holder_that_stands_still_for_less_than_its_lease_keeps_it(redis, phase):
    """Whenever between two renewals it is stopped: in quarters of the real times."""
    ttl, renew = instances.TTL_MS / 4000, instances.RENEW_MS / 4000
    with process(KEEPING) as holder:
        held = read_line(holder)
        wait_until(lambda: redis.pttl(keys.lock(7)) >= 1000 * (ttl - renew * phase))
        wait_until(lambda: redis.pttl(keys.lock(7)) <= 1000 * (ttl - renew * phase))
        os.kill(holder.pid, signal.SIGSTOP)
        wait_for_time(ttl * 10 / 12)
        os.kill(holder.pid, signal.SIGCONT)
        wait_until(lambda: redis.pttl(keys.lock(7)) > 1000 * (ttl - 2 * renew))
        tell(holder)
        assert read_line(holder) == held


def test_a_redis_that_answers_late_costs_nothing(redis):
    """Each answer takes two seconds, as those of the real lease may: in quarters of the times."""
    ttl_ms, renew_ms = instances.TTL_MS // 4, instances.RENEW_MS // 4
    with ExchangeLock(redis, 7, ttl_ms=ttl_ms, renew_ms=renew_ms).acquire() as lease:
        for _ in range(8):
            redis.client_pause(500)
            wait_for_time(0.55)
            assert lease.may_write()
        assert not lease._failing


STOPPED = (
    f"FENCED_SET = {FENCED_SET!r}\n"
    + """
from exchanges.lock.fencing import Fenced, refusals
from exchanges.lock.acquire import ExchangeLock
from exchanges.lock.status import State
lease = ExchangeLock(redis, 7, ttl_ms=600, renew_ms=150).acquire().start()
lease.report(State.ACTIVE, "the old one")
print("holding", lease.epoch)
input()
print("may write", lease.may_write())
try:
    with refusals():
        redis.eval(FENCED_SET, 2, "test:fenced", "exchange:7:epoch", lease.epoch, "late")
except Fenced:
    print("fenced")
lease.report(State.ACTIVE, "late")
lease.lost.wait(5)
print(lease.lost_reason)
lease.report(State.STOPPED, lease.lost_reason)
lease.release()
print("released")
"""
)


def test_a_holder_that_was_stopped_for_three_ttls_disturbs_nobody(lock, redis):
    with process(STOPPED) as old:
        assert read_line(old)[0] == "holding"
        wait_until(lambda: read_status(redis, 7).phase == "the old one")
        os.kill(old.pid, signal.SIGSTOP)
        wait_for_time(3 * 0.6)
        assert lock.holder() is None
        new = lock.acquire()
        new.report(State.WARMING, "the new one")
        write(redis, new.epoch, "of the new one")
        before = redis.mget(keys.lock(7), keys.status(7), keys.epoch(7))
        os.kill(old.pid, signal.SIGCONT)
        tell(old)
        assert read_line(old) == ["may", "write", "False"]
        assert read_line(old) == ["fenced"]
        assert read_line(old)[:3] == ["taken", "over", "by"]
        assert read_line(old) == ["released"]
    assert redis.get("test:fenced") == b"of the new one"
    assert redis.mget(keys.lock(7), keys.status(7), keys.epoch(7)) == before
    assert new.may_write()


# Redis away


def test_a_restart_of_redis_costs_nothing(tmp_path):
    server = embedded_redis.ensure_running(tmp_path / "valkey")
    with redis_client.Redis.from_url(server.url) as client:
        lock = ExchangeLock(client, 7, ttl_ms=6000, renew_ms=200)
        with lock.acquire() as lease:
            server.leave()
            wait_until(lambda: lease._failing)
            with embedded_redis.ensure_running(tmp_path / "valkey"):
                wait_until(lambda: not lease._failing)
                assert lease.may_write()
                assert lock.holder() == lease.holder
                write(client, lease.epoch)
                lease.release()


def test_a_redis_that_stays_away_costs_the_lock_and_the_end_is_in_order(tmp_path):
    server = embedded_redis.ensure_running(tmp_path / "valkey")
    with redis_client.Redis.from_url(server.url) as client:
        with ExchangeLock(client, 7, ttl_ms=600, renew_ms=150).acquire() as lease:
            server.leave()
            wait_until(lambda: not lease.may_write())
            assert lease.lost.wait(5)
            assert lease.lost_reason.startswith("could not renew for ")
        with pytest.raises(LostLock):
            lease.check()


def test_a_redis_that_comes_back_empty_costs_the_lock(tmp_path):
    server = embedded_redis.ensure_running(tmp_path / "valkey")
    with redis_client.Redis.from_url(server.url) as client:
        lock = ExchangeLock(client, 7, ttl_ms=6000, renew_ms=200)
        with lock.acquire() as lease:
            server.leave()
            shutil.rmtree(tmp_path / "valkey")
            with embedded_redis.ensure_running(tmp_path / "valkey"):
                assert lease.lost.wait(5)
                with pytest.raises(Fenced, match="there is none"):
                    write(client, lease.epoch)
                assert lock.acquire().epoch > lease.epoch


# The fence


def test_the_fence_lets_the_current_epoch_and_the_unfenced_through(lock, redis):
    write(redis, "", "unfenced")
    assert redis.get("test:fenced") == b"unfenced"
    write(redis, lock.acquire().epoch, "fenced")
    assert redis.get("test:fenced") == b"fenced"


def test_a_write_refused_in_a_pipeline_is_known_too(lock, redis):
    lock.acquire()
    pipe = redis.pipeline(transaction=False)
    pipe.eval(FENCED_SET, 2, "test:fenced", keys.epoch(7), 1, "late")
    with pytest.raises(Fenced) as refused, refusals():
        pipe.execute()
    assert isinstance(refused.value, Permanent)
    assert not redis.exists("test:fenced")


def test_other_errors_of_redis_stay_what_they_are(redis):
    redis.set("text", "x")
    with pytest.raises(redis_client.ResponseError, match="WRONGTYPE"), refusals():
        redis.lpush("text", 1)


# The status


def test_an_exchange_without_a_status_is_offline(redis):
    assert read_status(redis, 7) == Status(State.OFFLINE)


def test_a_status_says_what_is_done_by_whom_and_how_fast(lock, redis):
    lease = lock.acquire()
    lease.measure_with(lambda: {"framesPerSecond": 3000, "lagMs": 12})
    lease.report(State.WARMING, "fetching candles", 41.5, pairs=6)
    stored = json.loads(redis.get("exchange:7:status"))
    assert abs(stored.pop("heartbeat") - time.time() * 1000) < 5000
    holder = lease.holder.as_json()
    assert stored == {
        "state": "warming",
        "phase": "fetching candles",
        "percent": 41.5,
        "startedAt": holder.pop("connectedSince"),
        "framesPerSecond": 3000,
        "lagMs": 12,
        "pairs": 6,
        **holder,
    }
    found = read_status(redis, 7)
    assert (found.state, found.holder) == (State.WARMING, lease.holder)
    assert found.details == {"framesPerSecond": 3000, "lagMs": 12, "pairs": 6}
    assert 40_000 < redis.pttl("exchange:7:status") <= 45_000


def test_a_measure_can_neither_replace_the_state_nor_cost_the_lock(quick, redis):
    with quick.acquire() as lease:
        lease.measure_with(lambda: {"state": "idle", "epoch": 0})
        lease.report(State.ACTIVE)
        wait_until(lambda: read_status(redis, 7).state is State.ACTIVE)
        lease.measure_with(lambda: 1 / 0)
        lease.report(State.STOPPING)
        wait_until(lambda: read_status(redis, 7).state is State.STOPPING)
        lease.measure_with(lambda: {"unspeakable": object()})
        wait_for_time(1)
        wait_until(lease.may_write, 1)


def test_a_status_that_can_not_be_written_is_told_once(quick, redis, caplog):
    def told():
        lines = [each for each in caplog.records if "lock.status_not_written" in each.message]
        return [each.levelname for each in lines]

    with caplog.at_level("DEBUG", logger="exchanges"), quick.acquire() as lease:
        lease.measure_with(lambda: {"lost": 10**300})
        for state in (State.ACTIVE, State.STOPPING, State.ACTIVE):
            before = len(told())
            lease.report(state)
            wait_until(lambda before=before: len(told()) > before)
    assert told()[0] == "WARNING"
    assert set(told()[1:]) == {"DEBUG"}


def test_the_heartbeat_writes_the_status_again(quick, redis):
    with quick.acquire() as lease:
        lease.report(State.ACTIVE)
        wait_until(lambda: read_status(redis, 7).heartbeat)
        first = read_status(redis, 7).heartbeat
        wait_until(lambda: read_status(redis, 7).heartbeat > first)


def test_many_reports_are_few_writes_and_the_last_one_is_there(lock, redis):
    seen = set()
    with lock.acquire() as lease:
        end = time.monotonic() + 1
        while time.monotonic() < end:
            lease.report(State.WARMING, percent=len(seen))
            seen.add(read_status(redis, 7).heartbeat)
        lease.report(State.ACTIVE, "the last")
        wait_until(lambda: read_status(redis, 7).phase == "the last", 2)
    assert len(seen - {None}) <= 5


def test_a_release_says_that_it_stopped(lock, redis):
    with lock.acquire() as lease:
        lease.report(State.ACTIVE, "streaming")
    assert read_status(redis, 7).state is State.STOPPED


def test_a_release_keeps_the_error_that_was_reported(lock, redis):
    with lock.acquire() as lease:
        lease.report(State.ERROR, "the exchange bans this address")
    assert read_status(redis, 7).state is State.ERROR
    assert read_status(redis, 7).phase == "the exchange bans this address"


def test_a_status_can_say_why_it_stopped(lock, redis):
    lock.acquire().report(State.STOPPED, "taken over by b (10.0.0.2)")
    found = read_status(redis, 7)
    assert f"{found.state}: {found.phase}" == "stopped: taken over by b (10.0.0.2)"


def test_a_new_holder_starts_without_the_status_of_the_old_one(lock, redis):
    old = lock.acquire()
    old.report(State.ACTIVE)
    lock.take_over(old.holder.instance_id, "test")
    assert read_status(redis, 7).state is State.OFFLINE
    old.report(State.ACTIVE, "late")
    assert read_status(redis, 7).state is State.OFFLINE
