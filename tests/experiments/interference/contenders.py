"""Processes that want the same lock: in rounds, or writing under it as fast as they can."""

import os
import random
import signal
import time
from contextlib import ExitStack

from exchanges.lock.acquire import ExchangeLock
from exchanges.redis.scripts import load_script
from livermore.market import keys
from tests.exchanges.lock.test_acquire import CONTENDER, process, read_line, tell, wait_until

EXCHANGE = 7
TTL_MS = 600
WRITES, REFUSED, HELD_BACK = "tried:writes", "tried:refused", "tried:held-back"
FENCED_ADD = (
    load_script("exchanges/lock/lua/fence.lua").text
    + """
local refused = fence(KEYS[2], ARGV[1])
if refused then return refused end
redis.call('XADD', KEYS[1], '*', 'epoch', ARGV[1], 'by', ARGV[2])
"""
)
WRITER = f"""
import random, time
from exchanges.lock.fencing import Fenced, refusals
from exchanges.lock.acquire import ExchangeLock, Held
lock = ExchangeLock(redis, {EXCHANGE}, ttl_ms={TTL_MS}, renew_ms=150)
rng = random.Random(int(input()))
print("ready")
while True:
    holder = lock.holder()
    try:
        if holder and rng.random() < 0.1:
            lease = lock.take_over(holder.instance_id, "tried")
        else:
            lease = lock.acquire()
    except Held:
        time.sleep(0.01)
        continue
    with lease:
        for _ in range(rng.randrange(1, 200)):
            if rng.random() < 0.5 and not lease.may_write():
                redis.incr("{HELD_BACK}")
                break
            try:
                with refusals():
                    redis.eval({FENCED_ADD!r}, 2, "{WRITES}", "{keys.epoch(EXCHANGE)}",
                               lease.epoch, lease.holder.instance_id)
            except Fenced:
                redis.incr("{REFUSED}")
                break
            time.sleep(0.001)
"""


def faults_of_races(redis, racers, rounds):
    """Yield each round in which not exactly one of the processes got the lock."""
    redis.flushall()
    with ExitStack() as stack:
        started = [stack.enter_context(process(CONTENDER)) for _ in range(racers)]
        assert [read_line(racer) for racer in started] == [["ready"]] * racers
        for number in range(rounds):
            for racer in started:
                tell(racer, "race")
            said = [read_line(racer) for racer in started]
            won = [racer for racer, words in zip(started, said, strict=True) if words[0] == "won"]
            if len(won) != 1 or len({words[1] for words in said}) != 1:
                yield f"round {number}: {len(won)} won, and what they said is {said}"
            for racer in won:
                tell(racer, "release")
            wait_until(lambda: not redis.exists(keys.lock(EXCHANGE)))


def write_and_stop(redis, writers, seconds, seed):
    """Let processes write, while whoever has the lock is stopped, mostly beyond its lease.

    Returns what was written, in order, as (epoch, by whom), and how often one was stopped.
    """
    redis.flushall()
    rng, stops = random.Random(seed), 0
    with ExitStack() as stack:
        started = [stack.enter_context(process(WRITER)) for _ in range(writers)]
        for number, writer in enumerate(started):
            tell(writer, f"{seed}{number}")
        assert [read_line(writer) for writer in started] == [["ready"]] * writers
        ends_at = time.monotonic() + seconds
        while time.monotonic() < ends_at:
            holder = ExchangeLock(redis, EXCHANGE).holder()
            if holder is None:
                continue
            _stop(holder.pid, rng.uniform(0.5, 2) * TTL_MS / 1000)
            stops += 1
            assert all(writer.poll() is None for writer in started), "a writer has died"
    entries = redis.xrange(WRITES)
    return [(int(fields[b"epoch"]), fields[b"by"]) for _, fields in entries], stops


def faults_of_writes(writes):
    """Yield where a write came after one of a later epoch, and epochs that two wrote in."""
    writers, latest = {}, 0
    for number, (epoch, by) in enumerate(writes):
        if epoch < latest:
            yield f"write {number} is of epoch {epoch}, after one of {latest}"
        if writers.setdefault(epoch, by) != by:
            yield f"two wrote in epoch {epoch}"
        latest = max(latest, epoch)


def _stop(pid, seconds):
    os.kill(pid, signal.SIGSTOP)
    at = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() >= at)
    os.kill(pid, signal.SIGCONT)
