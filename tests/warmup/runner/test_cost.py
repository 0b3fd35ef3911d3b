"""What one exchange that is live costs: threads, and connections to Redis."""

from pathlib import Path

import pytest

from exchanges.lock.control_client import ControlClient
from exchanges.lock.status import State, read_status
from tests.warmup.runners import MIDNIGHT_MS, SYMBOLS, end, make_row, processes, serve, wait_until

pytestmark = pytest.mark.django_db(transaction=True)

OF_THE_PAST = 1  # what writes down the past has one of each; beside an agent it has none here
MOST_THREADS = 4 + OF_THE_PAST
MOST_CONNECTIONS = 4 + OF_THE_PAST


@pytest.fixture(params=["sandbox", "coinbase"])
def row(redis, request):
    with serve(speed=1, start_ms=MIDNIGHT_MS - 8000) as server:
        yield make_row(server, request.param)


@pytest.fixture
def connections_of(redis):
    """Return the names of the connections that came since the test began."""
    before = {client["id"] for client in redis.client_list()}

    def connections_of():
        return sorted(each["name"] for each in redis.client_list() if each["id"] not in before)

    return connections_of


@pytest.fixture
def runner(redis, row, connections_of):
    """Start the exchange in a process of its own; return that once it is live."""
    with processes() as manage:
        process = manage("start", row.name)
        wait_until(lambda: is_live(redis, row), 30)
        yield process
        assert end(process)[0] == 0


def is_live(redis, row):
    status = read_status(redis, row.pk)
    return status.state is State.ACTIVE and (status.details or {}).get("closes", 0) >= len(SYMBOLS)


def threads_of(process):
    return len(list(Path(f"/proc/{process.pid}/task").iterdir()))


needs_proc = pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="counts in /proc")


@needs_proc
def test_a_live_exchange_has_four_threads_and_four_connections(row, runner, connections_of):
    wait_until(lambda: threads_of(runner) <= MOST_THREADS)
    wait_until(lambda: len(connections_of()) <= MOST_CONNECTIONS)
    assert [name for name in connections_of() if not name.startswith("livermore:")] == []


@needs_proc
def test_what_a_repair_needs_for_a_while_is_given_back(redis, row, runner, connections_of):
    client = ControlClient(redis, row.pk)
    for request_id in (client.send("repair"), client.send("force-backfill", count=200)):
        assert client.wait(request_id, 30).ok
    wait_until(lambda: threads_of(runner) <= MOST_THREADS)
    wait_until(lambda: len(connections_of()) <= MOST_CONNECTIONS)
