"""A failover of real Sentinels under a live runner."""

import pytest

from exchanges.redis.client import make_client
from exchanges.transport import backoff
from tests.fixtures.redis_server import wait_for
from tests.fixtures.sentinels import Sentinels
from tests.warmup.followed import followed
from tests.warmup.runners import (
    MIDNIGHT_MS,
    MINUTE_MS,
    make_row,
    running,
    serve,
    wait_for_time,
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def short_timeouts(monkeypatch):
    monkeypatch.setattr(backoff, "FIRST_RECONNECT_SECONDS", 0.1)


def killed(watched):
    old = watched.master()
    old.kill()
    watched.wait_for_another(old)


def demoted(watched):
    old = watched.fail_over()
    # It stays up, and takes writes until it knows: what is seen there by then is lost.
    wait_for(lambda: old.ask("ROLE")[0] != "master", "a demotion")


@pytest.mark.parametrize("fail_over", [killed, demoted])
@pytest.mark.parametrize("name", ["sandbox", "coinbase"])
def test_a_failover_costs_no_close_and_doubles_none_to_who_reads_by_ids(tmp_path, fail_over, name):
    with serve() as sandbox, Sentinels(tmp_path) as watched, make_client(watched.url) as redis:
        row = make_row(sandbox, name)
        with running(redis, row), followed(redis, watched.url, sandbox, row) as exchange:
            wait_for_time(sandbox, MIDNIGHT_MS - MINUTE_MS)
            fail_over(watched)
            wait_for_time(sandbox, MIDNIGHT_MS + MINUTE_MS)
            exchange.wait()
            assert list(exchange.faults()) == []
            assert exchange.follower.read_again() == []
            assert exchange.epoch_now() >= exchange.epoch
