"""Jobs that run at once: how many of them."""

import threading
from types import SimpleNamespace

from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe
from warmup.fetching import run_all

REST = SimpleNamespace(
    workers=8,
    exchange_id=1,
    clock=SimpleNamespace(now_ms=lambda: 0),
    client=SimpleNamespace(pacer=SimpleNamespace(sleep=lambda _seconds: None)),
    close=lambda: None,
)
JOBS = [Pair(f"{number}-USD", Timeframe.M1) for number in range(12)]


def test_no_more_run_or_wait_to_be_taken_than_may_at_once():
    begun, lock, most = [], threading.Lock(), 3

    def work(job):
        with lock:
            begun.append(job)
        return job.symbol

    taken = []
    for job, found, error in run_all(REST, JOBS, work, at_once=most):
        taken.append(job)
        with lock:
            assert len(begun) <= len(taken) + most
        assert (found, error) == (job.symbol, None)
    assert sorted(taken) == sorted(JOBS) == sorted(begun)
