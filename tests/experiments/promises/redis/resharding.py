"""On a Redis Cluster every close is there and told, once and in order, whatever becomes of its
nodes and slots, and no exchange loses its lock to another by it.

A Cluster of three masters has a replica of each. Two exchanges run on it, over midnight, when bars
of six timeframes close. Meanwhile their slots are moved from master to master, key by key as
`valkey-cli` does and all at once as Valkey 9 can; a move is left halfway for some seconds, in which
scripts can't run; the master that has an exchange is killed, and its replica takes over, also where
it lacks the last seconds; a slot is moved, and then the master that got it is killed. A follower
reads the events of each exchange by their ids all the while, and the page's own reading is tried.
`tests/naming/test_slots.py` lets all that Livermore does go through a Cluster in every run of the
tests, and `tests/exchanges/redis/test_moving.py` clients of one whose slots move.
"""

import time
from contextlib import ExitStack, contextmanager

import pytest
from redis.exceptions import RedisError

from exchanges.lock.status import State
from exchanges.redis.client import make_client
from exchanges.transport import backoff
from livermore.market import keys
from livermore.market.naming import Naming, name_as
from tests.experiments.outcome import Outcome, faults_of_rounds
from tests.fixtures.cluster import Cluster
from tests.fixtures.redis_server import wait_for
from tests.warmup.followed import followed
from tests.warmup.runners import (
    MIDNIGHT_MS,
    MINUTE_MS,
    make_row,
    running,
    serve,
    wait_for_time,
    wait_until,
)
from warmup.network.page.exchange_view import read_exchange

QUICK = {"kinds": ["moved", "killed ahead of its replica"], "rounds": 1}
NAMES = ["sandbox", "coinbase"]
HALFWAY_SECONDS = 4
BEHIND_SECONDS = 3.0
AGAIN_SECONDS = 30  # the longest that a page may show what was before


def run(redis, folder, kinds=None, rounds=3):
    trials, kinds = Trials(folder), kinds or KINDS
    with pytest.MonkeyPatch.context() as patch, _tagged():
        patch.setattr(backoff, "FIRST_RECONNECT_SECONDS", 0.1)
        faults = faults_of_rounds(kinds, rounds, trials.disturbed)
    return Outcome(
        f"A Cluster of three masters and three replicas was {', '.join(kinds)} under two "
        f"live exchanges; rounds of it: {rounds}.",
        trials.numbers,
        faults,
    )


class Trials:
    """What becomes of a Cluster, one method each."""

    def __init__(self, folder):
        self._folder = folder
        self.numbers = {
            "trials": 0,
            "slots moved": 0,
            "masters killed": 0,
            "events that followers read": 0,
            "events that a follower read twice, after a master's death": 0,
        }

    def moved(self, whole, slots):
        """Move each exchange's slot to each other master, key by key."""
        for _ in range(2):
            for slot in slots:
                whole.move(slot, self._other(whole, slot))
                self.numbers["slots moved"] += 1

    def moved_at_once(self, whole, slots):
        """Move each exchange's slot to each other master, as a whole."""
        for _ in range(2):
            for slot in slots:
                source, to = whole.owner(slot), self._other(whole, slot)
                source.ask(
                    *("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", slot, slot),
                    *("NODE", to.ask("CLUSTER", "MYID")),
                )
                wait_until(lambda slot=slot, to=to: whole.owner(slot) is to, 30)
                self.numbers["slots moved"] += 1

    def halfway(self, whole, slots):
        """Leave a slot between two masters for a while: then scripts can't run."""
        for slot in slots:
            source, to = whole.owner(slot), self._other(whole, slot)
            whole.begin_to_move(slot, source, to)
            some = source.ask("CLUSTER", "GETKEYSINSLOT", slot, 10)
            source.ask("MIGRATE", "127.0.0.1", to.port, "", 0, 5000, "KEYS", *some)
            time.sleep(HALFWAY_SECONDS)
            whole.move(slot, to)
            self.numbers["slots moved"] += 1

    def killed(self, whole, slots):
        """Kill the master that has the first exchange; its replica takes its place."""
        self._kill(whole, slots[0])

    def killed_ahead(self, whole, slots):
        """Kill the master that has the first exchange while its replica is seconds behind."""
        owner = whole.owner(slots[0])
        for replica in whole.nodes:
            if not _is_master(replica):
                replica.ask("CONFIG", "SET", "primaryauth", "nobody's")
        owner.ask("CLIENT", "KILL", "TYPE", "replica")
        time.sleep(BEHIND_SECONDS)
        owner.kill()
        self.numbers["masters killed"] += 1
        wait_until(lambda: whole.owner(slots[0]) is not owner, 30)

    def moved_and_killed(self, whole, slots):
        """Move the first exchange's slot, and kill the master that got it."""
        whole.move(slots[0], self._other(whole, slots[0]))
        self.numbers["slots moved"] += 1
        self._kill(whole, slots[0])

    def disturbed(self, kind, number):
        """Run two exchanges on a Cluster while it is disturbed; return what was wrong."""
        self.numbers["trials"] += 1
        with ExitStack() as stack:
            whole = stack.enter_context(Cluster(self._folder / f"{kind}-{number}", replicas=1))
            client = stack.enter_context(make_client(whole.url))
            sandbox = stack.enter_context(serve())
            rows = [make_row(sandbox, name) for name in NAMES]
            for row in rows:
                stack.enter_context(running(client, row))
            watched = [
                stack.enter_context(followed(client, whole.url, sandbox, row)) for row in rows
            ]
            KINDS[kind](self, whole, [client.slot_of(keys.lock(row.pk)) for row in rows])
            for each in watched:
                wait_for(each.is_answered, "an answer")
            wait_for_time(sandbox, MIDNIGHT_MS + MINUTE_MS)
            for each in watched:
                each.wait()
            for each in watched:
                for text in self._faults(each, KINDS[kind] in OF_DEATHS):
                    yield f"{each.row.name}: {text}"
                wait_until(lambda row=each.row: shows(client, row, sandbox), AGAIN_SECONDS)

    def _faults(self, followed, is_death):
        yield from followed.faults()
        if (epoch := followed.epoch_now()) != followed.epoch:
            yield f"its epoch was {followed.epoch}, now it is {epoch}"
        again = len(followed.follower.read_again())
        self.numbers["events that followers read"] += len(followed.follower.read)
        self.numbers["events that a follower read twice, after a master's death"] += again
        if again and not is_death:
            yield f"a follower read {again} closes twice"

    def _kill(self, whole, slot):
        owner = whole.owner(slot)
        owner.kill()
        self.numbers["masters killed"] += 1
        wait_until(lambda: whole.owner(slot) is not owner, 30)

    @staticmethod
    def _other(whole, slot):
        """Return the next master after the one that has a slot."""
        masters = [each for each in whole.nodes if _is_master(each)]
        return masters[(masters.index(whole.owner(slot)) + 1) % len(masters)]


KINDS = {
    "moved": Trials.moved,
    "moved at once": Trials.moved_at_once,
    "left halfway": Trials.halfway,
    "killed": Trials.killed,
    "killed ahead of its replica": Trials.killed_ahead,
    "moved and killed": Trials.moved_and_killed,
}
OF_DEATHS = (Trials.killed, Trials.killed_ahead, Trials.moved_and_killed)


def shows(client, row, sandbox):
    """Tell whether the page's reading finds the exchange live, and nothing wrong."""
    try:
        view = read_exchange(client, row, sandbox.clock.now_ms())
    except RedisError:
        return False
    return view.status.state is State.ACTIVE and not view.late and view.holder is not None


@contextmanager
def _tagged():
    before = name_as(Naming("", True))
    try:
        yield
    finally:
        name_as(before)


def _is_master(node):
    try:
        return node.ask("ROLE")[0] == "master"
    except RedisError:
        return False
