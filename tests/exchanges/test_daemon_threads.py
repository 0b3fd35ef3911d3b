"""Threads that come when there is work, and go when there is none."""

import threading
import time
from sqlite3 import ProgrammingError

import pytest
from django.db import connection

from exchanges.daemon_threads import Workers
from exchanges.models import Exchange
from tests.warmup.runners import wait_until


def test_no_more_threads_come_than_there_is_work_for():
    workers = Workers(5, "few")
    for number in range(20):
        assert workers.submit(abs, -number).result(5) == number
        wait_until(lambda: not workers.busy)
    assert len(named("few")) == 1
    workers.close()


def test_work_that_waits_gets_as_many_threads_as_there_may_be():
    workers, go_on = Workers(3, "many"), threading.Event()
    futures = [workers.submit(go_on.wait, 10) for _ in range(10)]
    assert len(named("many")) == 3
    go_on.set()
    assert all(future.result(5) for future in futures)
    workers.close()


def test_threads_that_have_nothing_to_do_end_and_the_last_one_says_so():
    told = []
    workers = Workers(3, "idle", idle_seconds=0.05, on_idle=lambda: told.append(named("idle")))
    for _ in range(3):
        workers.submit(time.sleep, 0.01)
    wait_until(lambda: not named("idle"))
    assert len(told) == 1
    assert workers.submit(abs, -7).result(5) == 7
    wait_until(lambda: len(told) == 2)


def test_what_waits_when_it_is_closed_is_never_begun():
    workers, go_on = Workers(1, "closed"), threading.Event()
    first, second = workers.submit(go_on.wait, 10), workers.submit(abs, -1)
    wait_until(first.running)
    workers.close()
    go_on.set()
    wait_until(second.cancelled)
    assert first.result(5)
    workers.join(5)
    assert not named("closed")


def test_work_that_raises_leaves_its_thread_to_what_comes_next():
    workers = Workers(1, "raises")
    assert isinstance(workers.submit(int, "x").exception(5), ValueError)
    assert workers.submit(int, "7").result(5) == 7
    workers.close()


def test_where_there_is_room_for_few_threads_they_do_all(monkeypatch):
    start = threading.Thread.start

    def start_if_there_is_room(self):
        if self.name.startswith("room-") and len(named("room")) == room:
            raise RuntimeError("can't start new thread")
        start(self)

    monkeypatch.setattr(threading.Thread, "start", start_if_there_is_room)
    workers, go_on, room = Workers(5, "room"), threading.Event(), 0
    with pytest.raises(RuntimeError):
        workers.submit(go_on.wait, 10)
    assert not workers.busy
    room = 2
    futures = [workers.submit(go_on.wait, 10) for _ in range(9)]
    assert len(named("room")) == 2
    go_on.set()
    assert all(future.result(5) for future in futures)
    workers.close()


@pytest.mark.django_db(transaction=True)
def test_a_thread_that_ends_leaves_no_connection_to_the_database():
    workers = Workers(2, "queries", idle_seconds=0.05)

    def query():
        Exchange.objects.count()
        return connection.connection

    opened = [workers.submit(query) for _ in range(4)]
    wait_until(lambda: not named("queries"))
    for each in opened:
        with pytest.raises(ProgrammingError, match="closed"):
            each.result(5).execute("SELECT 1")


def named(name):
    return [each for each in threading.enumerate() if each.name.startswith(f"{name}-")]
