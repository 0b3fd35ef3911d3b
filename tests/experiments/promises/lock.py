"""One process writes an exchange's data at a time: never two holders, and nothing is written by
one that was stopped, deposed or too late.

Five ways: processes race for the lock in rounds; others write under it as fast as they can, while
one at a time is stopped beyond its lease and some take over from each other; every way of writing
is tried by a holder that was deposed; a live runner is stopped beyond its lease; live runners take
over from each other, while MONITOR tells which writes Redis let through, and of which epoch.
`tests/exchanges/lock/test_acquire.py` and `tests/warmup/live/test_outages.py` show each for a
short while.
"""

from exchanges.lock.acquire import ExchangeLock
from exchanges.lock.status import State, read_status
from tests.experiments.interference.contenders import (
    HELD_BACK,
    REFUSED,
    faults_of_races,
    faults_of_writes,
    write_and_stop,
)
from tests.experiments.interference.stale import faults_of_stale_writes
from tests.experiments.outcome import Outcome, faults_of
from tests.experiments.watching.monitor import monitored
from tests.warmup.live.test_outages import faults_of_a_stopped_holder
from tests.warmup.runners import (
    Comparison,
    end,
    events_of,
    make_row,
    processes,
    serve,
    wait_until,
    with_short_lease,
)

QUICK = {"racers": 3, "rounds": 2, "seconds": 2, "stopped": 0, "takeovers": 0}
SEED = 20261122


def run(redis, folder, racers=20, rounds=200, seconds=40, stopped=6, takeovers=6):
    numbers = {"processes that raced": racers, "rounds of the race": rounds}
    faults = faults_of("race", faults_of_races, redis, racers, rounds)
    writes, stops = write_and_stop(redis, racers // 2 + 1, seconds, SEED)
    faults += faults_of("writing", faults_of_writes, writes)
    numbers |= {
        "writes of processes that took the lock from each other": len(writes),
        "epochs they were made in": len({epoch for epoch, _ in writes}),
        "how often one was stopped beyond its lease": stops,
        "writes refused as their epoch was over": int(redis.get(REFUSED) or 0),
        "holders that held back by themselves": int(redis.get(HELD_BACK) or 0),
    }
    faults += faults_of("deposed", faults_of_stale_writes, redis)
    with processes() as manage:
        for number in range(stopped):
            name = f"stopped runner {number}"
            redis.flushall()
            faults += faults_of(name, faults_of_a_stopped_holder, redis, manage, number % 2 == 0)
        numbers["live runners stopped beyond their lease"] = stopped
        redis.flushall()
        if takeovers:
            faults += faults_of("takeover", faults_of_takeovers, redis, manage, takeovers, numbers)
    return Outcome(
        f"Processes that raced for one lock: {racers}, in {rounds} rounds; that wrote under it for "
        f"{seconds} s: {racers // 2 + 1}. Every way of writing was tried with an epoch that was "
        f"over. Live runners that were stopped beyond their lease: {stopped}; that took over from "
        f"another one: {takeovers}.",
        numbers,
        faults,
    )


def faults_of_takeovers(redis, manage, takeovers, numbers):
    """Let live runners take over from each other; yield what was written that should not be."""
    with serve(speed=60) as sandbox, monitored(redis) as writes:
        row = make_row(sandbox)
        truth = Comparison(redis, sandbox, row)
        holder = _started(redis, row, manage, "start", "sandbox")
        for _ in range(takeovers):
            truth.wait(sandbox.clock.now_ms())
            follower = _started(redis, row, manage, "start", "sandbox", "--take-over")
            _, said = holder.communicate(timeout=20)
            if (holder.returncode, "taken over by" in said) != (1, True):
                yield f"the old one ended with {holder.returncode} and said {said}"
            holder = follower
        truth.wait(sandbox.clock.now_ms())
        yield from truth.faults(told=False)
        end(holder)
        yield from _twice(events_of(redis, row.pk))
    yield from faults_of_writes((epoch, epoch) for epoch in writes.epochs)
    yield from (f"{command} was sent without an epoch" for command in writes.unguarded)
    numbers |= {
        "takeovers of live runners": takeovers,
        "commands of their writes that Redis did": len(writes.epochs),
        "epochs of these": len(set(writes.epochs)),
    }
    if len(set(writes.epochs)) <= takeovers:
        yield f"only {len(set(writes.epochs))} of {takeovers + 1} wrote anything"


def _started(redis, row, manage, *arguments):
    process = manage(code=with_short_lease(*arguments))

    def live():
        holder = ExchangeLock(redis, row.pk).holder()
        ours = holder and holder.pid == process.pid
        return ours and read_status(redis, row.pk).state is State.ACTIVE

    wait_until(live)
    return process


def _twice(events):
    for pair, told in events.items():
        times = [event["timestamp"] for event in told]
        if times != sorted(set(times)):
            yield f"{pair[0]} {pair[1]}: told twice or out of order"
