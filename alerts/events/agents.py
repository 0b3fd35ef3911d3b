"""Agents: one that falls silent, and whether any is there for what shall run."""

from collections.abc import Iterator

from alerts.events.source import WHOLE, Look, Moment, Seen
from warmup.human_readable import count
from warmup.runner.agents import Registration, read_silent_agents


class Agents:
    """Looks at the agents' signs of life. One that ends in order takes its own away."""

    name = "agents"
    needs_redis = True

    def look(self, look: Look) -> Iterator[Seen | Moment]:
        alive, silent = read_silent_agents(look.redis)
        position = look.position(self.name)
        told = position.get("told", [])
        for agent in silent:
            if alive and agent.agent_id not in told:
                subject = f"{agent.hostname} {agent.pid}"
                yield Moment("agent_died", None, subject, _fell_silent(agent), look.now_ms)
        # Those that Redis has forgotten meanwhile can't come again: ids are used once.
        position["told"] = [agent.agent_id for agent in silent]
        wanted = look.wanted()
        text = f"no agent is alive, and {count(len(wanted), 'exchange')} shall run"
        if silent:
            text += f": {_fell_silent(silent[-1])}"
        yield Seen("agent_died", None, {WHOLE: text} if wanted and not alive else {})


def _fell_silent(agent: Registration) -> str:
    running = f", which ran {', '.join(agent.running)}," if agent.running else ""
    return f"the agent of {agent.hostname} (process {agent.pid}){running} fell silent"
