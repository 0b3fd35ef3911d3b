"""Who has an exchange at one moment, and which agents are alive."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from redis import Redis
from redis.exceptions import ResponseError

from exchanges.lock.acquire import ExchangeLock
from exchanges.lock.status import Holder, State, Status, read_status
from exchanges.models import Exchange
from exchanges.redis.unreadable import remedy, value_or_error, warn_once
from livermore.market import keys
from warmup.runner.agents import Registration, read_agents

logger = logging.getLogger(__name__)

START_AN_AGENT = "./run agent, or its service where there is one"
STARTING = (State.STARTING, State.WARMING)
SINGLE_COMMANDS = ("warmup", "repair", "force-backfill")  # the phases that they report


@dataclass(frozen=True, slots=True)
class RunnerState:
    """What was read at one moment. `holder` None: the lock is free; `agents` are those alive."""

    name: str
    holder: Holder | None
    status: Status
    agents: Sequence[Registration]

    @classmethod
    def read(cls, redis: Redis, exchange: Exchange) -> "RunnerState":
        """Return what is so now."""
        return cls(
            exchange.name,
            ExchangeLock(redis, exchange.pk).holder(),
            read_status(redis, exchange.pk),
            _agents(redis),
        )

    @property
    def run_by_agent(self) -> bool:
        """Tell whether an agent that is alive holds the exchange, and so ends it if asked."""
        return any(self._has_it(agent) for agent in self.agents)

    @property
    def others(self) -> list[Registration]:
        """Return the agents that could begin to run it."""
        return [agent for agent in self.agents if not self._has_it(agent)]

    @property
    def obeys(self) -> bool:
        """Tell whether a runner would do a command now."""
        return bool(
            self.holder
            and self.holder.is_known
            and self.status.state is State.ACTIVE
            and self.status.details.get("obeys")
        )

    @property
    def starting(self) -> bool:
        """Tell whether a runner, or a command, is warming it."""
        return self.holder is not None and self.status.state in STARTING

    @property
    def single_command(self) -> str:
        """Return the name of the command that holds it for a while, empty for anything else."""
        is_one = self.status.state is State.WARMING and self.status.phase in SINGLE_COMMANDS
        return self.status.phase if self.holder and is_one else ""

    def who_begins(self) -> str:
        """Return, for the end of a sentence, who will run it if it is wanted."""
        hosts = dict.fromkeys(agent.hostname for agent in self.others)
        if not hosts:
            return f", but no agent is alive: nothing happens until one is, by {START_AN_AGENT}"
        return f": an agent does it within seconds ({', '.join(hosts)})"

    def runs_already(self) -> str:
        """Return, for a person, that the only agent alive is the one that has it."""
        assert self.holder is not None
        return (
            f"{self.name} is running already, on {self.holder.hostname} ({self.holder.ip}), and no "
            f"other agent is alive to take it over: start one elsewhere with {START_AN_AGENT}"
        )

    def _has_it(self, agent: Registration) -> bool:
        return self.holder is not None and agent.runs(self.name, self.holder)


def _agents(redis: Redis) -> Sequence[Registration]:
    """Return the agents that are alive, none where their key holds something else."""
    try:
        return read_agents(redis)
    except ResponseError as error:
        value_or_error(error)
        warn_once(logger, keys.agents(), f"it is no hash: {remedy(keys.agents())}")
        return []
