"""Exchanges that live in turns in a process, of which some need a thread."""

import threading
from types import SimpleNamespace

import pytest

from tests.warmup.runners import wait_until
from warmup.processes.life import Outcome
from warmup.processes.worker import InTurns


class Life:
    """A life of a long turn, some short ones, and a long one."""

    exchange = SimpleNamespace(name="sandbox")
    instance_id = ""

    def __init__(self):
        self.threads = []
        self.ends = 0

    def turns(self, block_seconds):
        for is_long in (False, False, True, False):
            self.threads.append(threading.current_thread().name)
            yield is_long

    def end(self, error):
        self.ends += 1
        return Outcome(wait_seconds=error)


class Hasty(InTurns):
    """Turns of which another thread takes the next one just as it may."""

    @property
    def _is_live(self):
        return self._may_go_on

    @_is_live.setter
    def _is_live(self, may_go_on):
        self._may_go_on = may_go_on
        if may_go_on:
            taker = threading.Thread(target=self.turn)
            taker.start()
            taker.join()


@pytest.fixture
def room(monkeypatch):
    """Let the system have no room for a thread of a turn while that is cleared."""
    room, start = threading.Event(), threading.Thread.start

    def start_if_there_is_room(self):
        if self.name.startswith("runner-") and not room.is_set():
            raise RuntimeError("can't start new thread")
        start(self)

    monkeypatch.setattr(threading.Thread, "start", start_if_there_is_room)
    room.set()
    return room


def take_turns(run, until):
    def taken():
        run.turn()
        return until()

    wait_until(taken)


def in_threads(life):
    """Tell of each turn whether it was taken in a thread of its own."""
    return [name == "runner-sandbox" for name in life.threads]


def test_turns_that_last_long_are_taken_in_threads(room):
    life = Life()
    run = InTurns(life, lambda: None)
    take_turns(run, lambda: run.outcome)
    assert in_threads(life) == [True, False, False, True]


def test_a_first_turn_for_which_there_is_no_thread_is_taken_once_there_is(room, caplog):
    life = Life()
    room.clear()
    run = InTurns(life, lambda: None)
    for _ in range(3):
        run.turn()
    assert (life.threads, run.outcome) == ([], None)
    room.set()
    take_turns(run, lambda: run.outcome)
    assert in_threads(life) == [True, False, False, True]
    assert sum("worker.no_thread" in each for each in caplog.messages) == 1


def test_a_later_turn_for_which_there_is_no_thread_is_taken_once_there_is(room):
    life = Life()
    run = InTurns(life, lambda: None)
    wait_until(lambda: life.threads)
    room.clear()
    take_turns(run, lambda: len(life.threads) == 3)
    for _ in range(3):
        run.turn()
    assert (len(life.threads), run.outcome) == (3, None)
    room.set()
    take_turns(run, lambda: run.outcome)
    assert in_threads(life) == [True, False, False, True]


def test_no_turn_is_taken_by_two_threads(room):
    life = Life()
    run = Hasty(life, lambda: None)
    wait_until(lambda: run.outcome)
    for each in threading.enumerate():
        if each.name == "runner-sandbox":
            each.join(5)
    assert (len(life.threads), life.ends) == (4, 1)
