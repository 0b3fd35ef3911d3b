"""An agent whose exchanges run in processes of their own."""

import os
import signal
from pathlib import Path

import pytest

from exchanges.lock.acquire import ExchangeLock
from exchanges.lock.status import State, read_status
from exchanges.models import Exchange
from livermore.market import keys
from tests.warmup.processes.test_fork_server import is_alive
from tests.warmup.runners import (
    MIDNIGHT_MS,
    end,
    make_row,
    processes,
    serve,
    start,
    wait_until,
    with_short_lease,
)
from warmup.runner.agents import read_agents

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="looks into /proc"),
]

NAMES = ["sandbox", "coinbase", "binance"]
DJANGO = """
import os, django
os.environ['DJANGO_SETTINGS_MODULE'] = 'livermore.settings'
django.setup()
"""


@pytest.fixture
def rows(redis):
    with serve() as sandbox:
        yield [make_row(sandbox, name, wanted=Exchange.Wanted.RUNNING) for name in NAMES]


@pytest.fixture
def agent(monkeypatch):
    """Return a function that starts an agent that spreads its exchanges over so many processes.

    Code that is to come `before` may change what the agent finds.
    """
    with processes() as manage:

        def agent(most, before=""):
            monkeypatch.setenv("LIVERMORE_AGENT_PROCESSES", str(most))
            return manage(code=before + with_short_lease("agent"))

        yield agent


@pytest.fixture
def live(redis, rows):
    """Wait until all of them are live, and known to the agent; return their processes by name."""

    def live(but=()):
        def found():
            statuses = {row.name: read_status(redis, row.pk) for row in rows}
            if any(each.state is not State.ACTIVE for each in statuses.values()):
                return None
            pids = {name: each.holder.pid for name, each in statuses.items()}
            agents = read_agents(redis)
            known = all(agents and agents[0].runs(n, each.holder) for n, each in statuses.items())
            return pids if known and not set(pids.values()) & set(but) else None

        return wait_until(found, 40)

    return live


def held(redis, rows):
    return {row.name: ExchangeLock(redis, row.pk).holder() for row in rows}


def test_each_exchange_has_a_process_of_its_own_and_the_agent_says_which(redis, rows, agent, live):
    process = agent(3)
    pids = live()
    assert len({process.pid, *pids.values()}) == 4
    (found,) = read_agents(redis)
    assert {each.running: each.pid for each in found.processes} == {
        (name,): pid for name, pid in pids.items()
    }
    assert all(each.threads and each.memory_bytes for each in found.processes)


@pytest.mark.parametrize(("name", "most"), [("sandbox", 4), ("coinbase", 4)])
def test_a_process_with_one_exchange_has_four_threads_and_four_connections(
    redis, agent, name, most
):
    before = {client["id"] for client in redis.client_list()}
    with serve(speed=1, start_ms=MIDNIGHT_MS - 8000) as sandbox:
        row = make_row(sandbox, name, wanted=Exchange.Wanted.RUNNING)
        agent(3)
        wait_until(lambda: (read_status(redis, row.pk).details or {}).get("closes", 0) >= 3, 40)
        pid = read_status(redis, row.pk).holder.pid
        wait_until(lambda: len(list(Path(f"/proc/{pid}/task").iterdir())) <= most)
        wait_until(lambda: len(connections_of(redis, row, before)) <= most)


def connections_of(redis, row, before):
    """Return the names of an exchange's connections that came since."""
    names = [each["name"] for each in redis.client_list() if each["id"] not in before]
    return [name for name in names if name.endswith(f":{row.pk}")]


def test_where_there_are_more_exchanges_than_processes_they_share_them(redis, rows, agent, live):
    process = agent(2)
    pids = live()
    assert process.pid not in pids.values()
    assert len(set(pids.values())) == 2


def test_with_none_all_run_in_the_agents_own(redis, rows, agent, live):
    process = agent(0)
    assert set(live().values()) == {process.pid}


def test_a_process_that_dies_costs_its_own_exchange_alone(redis, rows, agent, live):
    agent(3)
    for how in (signal.SIGKILL, signal.SIGTERM):
        before, holders = live(), held(redis, rows)
        os.kill(before["coinbase"], how)
        after = live(but=[before["coinbase"]])
        assert {name for name in NAMES if after[name] != before[name]} == {"coinbase"}, how
        others = held(redis, rows)
        assert others.pop("coinbase").epoch > holders.pop("coinbase").epoch
        assert others == holders


def test_nothing_is_left_of_an_agent_that_is_killed(redis, rows, agent, live):
    process = agent(2)
    pids = live()
    end(process, signal.SIGKILL)
    wait_until(lambda: not any(map(is_alive, pids.values())))
    assert set(held(redis, rows).values()) == {None}
    assert read_status(redis, rows[0].pk).state is State.STOPPED


def test_an_agent_that_cannot_fork_any_more_ends_in_order(redis, rows, agent, live):
    process = agent(3)
    pids = live()
    (server,) = {parent_of(pid) for pid in pids.values()}
    os.kill(server, signal.SIGKILL)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Error: the process that forks others ended" in err
    wait_until(lambda: not any(map(is_alive, pids.values())))
    assert set(held(redis, rows).values()) == {None}


NO_ROOM = """
import errno, os
fork, forked = os.fork, []
def fork_if_there_is_room():
    forked.append(1)
    if len(forked) > 1 and os.path.exists({path!r}):
        raise BlockingIOError(errno.EAGAIN, "no room")
    return fork()
os.fork = fork_if_there_is_room
"""


def test_where_no_process_can_be_forked_the_exchange_is_tried_again_and_others_go_on(
    redis, rows, agent, live, tmp_path
):
    no_room = tmp_path / "no-room"
    process = agent(3, NO_ROOM.format(path=str(no_room)))
    before, holders = live(), held(redis, rows)
    no_room.touch()
    os.kill(before["coinbase"], signal.SIGKILL)
    row = next(row for row in rows if row.name == "coinbase")
    wait_until(lambda: b"no process could be begun" in (redis.get(keys.trouble(row.pk)) or b""))
    assert process.poll() is None
    no_room.unlink()
    after = live(but=[before["coinbase"]])
    assert {name for name in NAMES if after[name] != before[name]} == {"coinbase"}
    others = held(redis, rows)
    del holders["coinbase"], others["coinbase"]
    assert others == holders


def test_an_agent_that_can_fork_nothing_at_its_start_says_so_in_a_line(agent, tmp_path):
    nothing = NO_ROOM.replace("len(forked) > 1 and ", "").format(path=str(tmp_path))
    process = agent(3, nothing)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert len(err.splitlines()) == 1
    assert err.startswith("Error: there is no room for the process that forks")
    assert "LIVERMORE_AGENT_PROCESSES=0" in err


NOTHING_CAN_BE_SAID = """
from warmup.processes import processes
class Processes(processes.Processes):
    def __init__(self, server, redis, most, say):
        super().__init__(server, redis, most, self.fail)
    def fail(self, text):
        raise {error}
processes.Processes = Processes
"""


def test_where_nothing_can_be_said_all_goes_on(redis, rows, agent, live):
    full = NOTHING_CAN_BE_SAID.format(error='OSError(28, "No space left on device")')
    agent(3, DJANGO + full)
    before = live()
    os.kill(before["coinbase"], signal.SIGKILL)
    live(but=[before["coinbase"]])


def test_an_agent_that_notices_nothing_any_more_ends_in_order(redis, rows, agent, live):
    process = agent(3, DJANGO + NOTHING_CAN_BE_SAID.format(error='RuntimeError("a fault")'))
    pids = live()
    os.kill(pids["coinbase"], signal.SIGKILL)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Error: the process that forks others ended: what it says is not read: a fault" in err
    wait_until(lambda: not any(map(is_alive, pids.values())))


def test_what_is_wanted_no_longer_ends_and_its_process_too(redis, rows, agent, live):
    agent(3)
    pids = live()
    Exchange.objects.filter(name="coinbase").update(wanted=Exchange.Wanted.STOPPED)
    wait_until(lambda: not is_alive(pids["coinbase"]))
    assert is_alive(pids["sandbox"])


@pytest.mark.parametrize("value", ["-1", "many", "1.5", "1000"])
def test_a_number_of_processes_that_is_none_is_refused(monkeypatch, value):
    monkeypatch.setenv("LIVERMORE_AGENT_PROCESSES", value)
    process = start("agent")
    _, err = process.communicate(timeout=20)
    assert process.returncode != 0
    assert "LIVERMORE_AGENT_PROCESSES is a number of processes, such as 4" in err


def parent_of(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
