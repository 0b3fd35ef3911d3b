"""Livermore's processes in an experiment: agents, `serve`, and the Redis that they share."""

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import orjson
import requests

from exchanges.lock.status import State, read_status
from exchanges.models import Exchange
from livermore.market import keys
from tests.experiments.bots.fleet import Kept, command
from tests.fixtures.ports import free_port
from tests.warmup.runners import wait_until
from warmup.runner.agents import read_agents

SECONDS_TO_BEGIN = 60
HANDOVER_SECONDS = 10
WORKERS = 2
WORDS_OF_A_FAULT = ("Traceback", "Error handling request", "never retrieved", "Unclosed")


class Installation:
    """Agents that keep `rows` live, and `serve` at one port; each is begun, ended and killed here.

    `serve_away` says from when to when nobody may have listened at that port, monotonic.
    """

    def __init__(self, redis, own_redis, rows: Sequence[Exchange]):
        """`redis` is a client of `own_redis`, the server to which all of them are sent."""
        self._redis, self._own_redis, self._rows = redis, own_redis, rows
        self._agents: dict[int, Kept] = {}
        self._server: Kept | None = None
        self._ended: list[Kept] = []
        self._port = free_port()
        self.serve_away: list[tuple[float, float]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def begin(self) -> None:
        """Let one agent run the exchanges, another one wait, and `serve` serve."""
        self.begin_agents()
        self._begin_serving()

    def begin_agents(self) -> None:
        """Let one agent run the exchanges and another one wait, and nobody serve."""
        self._grow(1)
        self.wait_until_live()
        self._grow(2)

    def kill(self) -> None:
        """End what still runs, however that is."""
        for each in [*self._agents.values(), *([self._server] if self._server else [])]:
            each.process.kill()
            each.process.wait()

    def end(self) -> Iterator[str]:
        """End all in order; yield what any of them said that is a fault."""
        if self._server:
            self._end_serving(signal.SIGTERM)
        self._server = None
        for agent in list(self._agents):
            self._end_agent(agent)
        for each in self._ended:
            said = "".join(each.errors)
            found = [said.find(word) for word in WORDS_OF_A_FAULT if word in said]
            if found:
                yield f"a process said: {said[max(0, min(found) - 200) : min(found) + 1500]}"
            if each.process.returncode not in (0, -signal.SIGKILL):
                yield f"a process ended with {each.process.returncode}: {said[-300:]}"

    # -- what may happen to it

    def kill_agent(self) -> None:
        """Kill the agent that runs most exchanges; return when another one has all."""
        agent = self._busiest()
        pids = self._pids(agent)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        self._agents.pop(agent).end(signal.SIGKILL)
        self.wait_until_live(other_than=pids)
        self._grow(2)

    def move(self) -> None:
        """End that agent in order; return when another one has all."""
        agent = self._busiest()
        pids = self._pids(agent)
        self._end_agent(agent)
        self.wait_until_live(other_than=pids)
        self._grow(2)

    def restart_agents(self, seconds: float) -> None:
        """End all agents, the one that runs the exchanges last, and begin two after a while."""
        for agent in sorted(self._agents, key=lambda each: each == self._busiest()):
            self._end_agent(agent)
        time.sleep(seconds)
        self._grow(2)
        self.wait_until_live()

    def restart_serve(self, how: int) -> None:
        """End `serve` by a signal, and begin it again."""
        with self._serving_away():
            self._end_serving(how)
            self._begin_serving()

    def kill_worker(self) -> None:
        """Kill one of the processes of `serve`; return when there is another one."""
        with self._serving_away():
            killed = self._workers()[0]
            os.kill(killed, signal.SIGKILL)
            wait_until(lambda: len(self._workers()) == WORKERS and killed not in self._workers())
            wait_until(self._is_serving)

    def restart_redis(self, seconds: float) -> None:
        """End Redis in order, and begin it again with its data after a while."""
        self._own_redis.stop()
        time.sleep(seconds)
        self._own_redis.start()
        self.wait_until_live()

    # --

    def wait_until_live(self, other_than: Sequence[int] = ()) -> None:
        """Wait until each exchange is streamed by a process that is none of these."""

        def are_live() -> bool:
            found = [read_status(self._redis, row.pk) for row in self._rows]
            return all(
                each.state is State.ACTIVE
                and each.details.get("connections")
                and not each.details.get("silent")
                and each.holder.pid not in other_than
                for each in found
            )

        wait_until(are_live, SECONDS_TO_BEGIN)

    def _begin_serving(self) -> None:
        server = command("serve", "--port", str(self._port), "--workers", str(WORKERS))
        self._server = server
        wait_until(lambda: server.out or server.process.poll() is not None, SECONDS_TO_BEGIN)
        assert server.out, "".join(server.errors)

    def _end_serving(self, how: int) -> None:
        server, workers = self._server, self._workers()
        server.end(how)
        self._ended.append(server)
        wait_until(lambda: not [each for each in workers if Path(f"/proc/{each}").exists()])

    def _workers(self) -> list[int]:
        """Return the processes that serve: they are forked of one that is forked of the parent."""
        return [child for each in _below(self._server.pid) for child in _below(each)]

    def _is_serving(self) -> bool:
        try:
            return requests.get(f"{self.url}/health/", timeout=5).status_code == 200
        except requests.RequestException:
            return False

    @contextmanager
    def _serving_away(self) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self.serve_away.append((began, time.monotonic()))

    def _grow(self, count: int) -> None:
        """Let so many agents be alive."""
        while len(self._agents) < count:
            started = command("agent")
            self._agents[started.pid] = started
        wait_until(
            lambda: set(self._agents) <= {each.pid for each in read_agents(self._redis)},
            SECONDS_TO_BEGIN,
        )

    def _end_agent(self, agent: int) -> None:
        ended = self._agents.pop(agent)
        ended.end(seconds=HANDOVER_SECONDS + 30)
        self._ended.append(ended)

    def _busiest(self) -> int:
        """Return the agent that runs most of the exchanges."""
        return wait_until(lambda: self._holders().most_common(1))[0][0]

    def _holders(self) -> Counter:
        pids = {pid: agent for agent in self._agents for pid in self._pids(agent)}
        texts = [self._redis.get(keys.lock(row.pk)) for row in self._rows]
        locks = [orjson.loads(text) for text in texts if text]
        return Counter(pids[lock["pid"]] for lock in locks if lock["pid"] in pids)

    def _pids(self, agent: int) -> list[int]:
        """Return an agent's processes, itself first."""
        found = next((each for each in read_agents(self._redis) if each.pid == agent), None)
        return [agent, *(each.pid for each in found.processes)] if found else [agent]


def _below(pid: int) -> list[int]:
    """Return the processes that one has forked."""
    try:
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []
