"""Which agents are alive, and what each of them runs: one hash in Redis, a field per agent."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import orjson
from redis import Redis

from exchanges.lock.status import Holder
from exchanges.redis.json_types import is_texts, parse_object, text_in, whole_in
from exchanges.redis.scripts import load_script
from livermore.market import keys
from livermore.market.candle import LATEST_MS
from warmup.processes.report import ProcessReport

READ = load_script("warmup/runner/lua/read_agents.lua")

ALIVE_MS = 10_000
FORGOTTEN_MS = 60_000  # so long what a dead one said is kept, for a person who looks


@dataclass(frozen=True, slots=True)
class Registration:
    """What an agent says of itself. Times are Redis's, in ms; `running` names its exchanges."""

    agent_id: str
    hostname: str
    ip: str
    pid: int
    started_at: int
    heartbeat: int
    running: tuple[str, ...] = ()
    processes: tuple[ProcessReport, ...] = ()  # beside its own

    @classmethod
    def from_json(cls, text: bytes | str) -> "Registration":
        """Return what was stored; ValueError where it is none."""
        found = parse_object(text)
        agent_id, hostname, ip = (text_in(found, name) for name in ("agentId", "hostname", "ip"))
        pid = whole_in(found, "pid")
        started_at, heartbeat = (whole_in(found, name) for name in ("startedAt", "heartbeat"))
        if max(started_at, heartbeat) > LATEST_MS:
            raise ValueError("times that no clock has told")
        if not is_texts(found.get("running")):
            raise ValueError("running are no names")
        processes = found.get("processes", [])  # one of an older version has none
        if not isinstance(processes, list):
            raise ValueError("processes that are no list")
        return cls(
            *(agent_id, hostname, ip, pid, started_at, heartbeat, tuple(found["running"])),
            tuple(map(ProcessReport.from_json, processes)),
        )

    def as_json(self) -> dict[str, Any]:
        """Return the object that is stored."""
        return {
            "agentId": self.agent_id,
            "hostname": self.hostname,
            "ip": self.ip,
            "pid": self.pid,
            "startedAt": self.started_at,
            "heartbeat": self.heartbeat,
            "running": list(self.running),
            "processes": [each.as_json() for each in self.processes],
        }

    def runs(self, name: str, holder: Holder) -> bool:
        """Tell whether the holder of the lock of the exchange `name` is this agent's runner."""
        here = (self.hostname, self.ip) == (holder.hostname, holder.ip)
        pids = {each.pid for each in self.processes if name in each.running}
        return here and name in self.running and holder.pid in {self.pid, *pids}


def read_agents(redis: Redis, now_ms: int | None = None) -> list[Registration]:
    """Return the agents that are alive, the oldest first.

    `now_ms` None is Redis's time, of which the heartbeats are: this machine's may be off.
    """
    stored, server_ms = _stored(redis)
    now_ms = server_ms if now_ms is None else now_ms
    alive = [each for each in stored.values() if each and _is_alive(each, now_ms)]
    return sorted(alive, key=lambda each: (each.started_at, each.agent_id))


def read_silent_agents(redis: Redis) -> tuple[list[Registration], list[Registration]]:
    """Return the agents that are alive, and those that fell silent a minute ago or less."""
    stored, now_ms = _stored(redis)
    known = [each for each in stored.values() if each]
    alive = [each for each in known if _is_alive(each, now_ms)]
    dead = [each for each in known if not _is_alive(each, now_ms)]
    return alive, [each for each in dead if now_ms - each.heartbeat <= FORGOTTEN_MS]


def register(redis: Redis, agent: Registration) -> Registration:
    """Write what an agent says of itself, as of now; forget agents that are long dead."""
    stored, now_ms = _stored(redis)
    agent = replace(agent, heartbeat=now_ms, started_at=agent.started_at or now_ms)
    redis.hset(keys.agents(), agent.agent_id, orjson.dumps(agent.as_json()))
    stored.pop(agent.agent_id.encode(), None)
    forgotten = _forgotten(stored, now_ms)
    if forgotten:
        redis.hdel(keys.agents(), *forgotten)
    return agent


def deregister(redis: Redis, agent_id: str) -> None:
    """Take an agent that ends out of the hash."""
    redis.hdel(keys.agents(), agent_id)


def _stored(redis: Redis) -> tuple[dict[bytes, Registration | None], int]:
    """Return what is stored by field, None for what is no registration, and Redis's time in ms."""
    texts, seconds, microseconds = READ(redis, [keys.agents()])
    found: dict[bytes, Registration | None] = {}
    for agent_id, text in zip(texts[::2], texts[1::2], strict=True):
        try:
            found[agent_id] = Registration.from_json(text)
        except ValueError:
            found[agent_id] = None
    return found, int(seconds) * 1000 + int(microseconds) // 1000


def _forgotten(stored: dict[bytes, Registration | None], now_ms: int) -> Iterable[bytes]:
    return [
        agent_id
        for agent_id, agent in stored.items()
        if agent is None or now_ms - agent.heartbeat > FORGOTTEN_MS
    ]


def _is_alive(agent: Registration, now_ms: int) -> bool:
    return now_ms - agent.heartbeat <= ALIVE_MS
