"""What scenarios do to connections: they are cut, silenced, or not let in."""

from collections.abc import Iterable, Mapping

from exchanges.sandbox.faults.scenario import Scenario
from exchanges.sandbox.faults.scenarios import Scenarios
from exchanges.sandbox.protocol import Streams
from exchanges.sandbox.server.connection import Connection

GOING_AWAY = 1001


class ConnectionFaults:
    """Does to connections what the scenarios in force say; `connections` are all open ones."""

    def __init__(self, scenarios: Scenarios):
        self._scenarios = scenarios
        self._ends: list[tuple[float, Connection]] = []  # that were announced

    @property
    def under_way(self) -> bool:
        """Whether an end was announced that has not come yet."""
        return bool(self._ends)

    def refusal(self, protocol: str) -> int | None:
        """Return the HTTP status that new connections get now, None where they are let in."""
        for scenario in self._scenarios.in_force:
            refuses = scenario.kind == "refuse" and scenario.active
            if refuses and scenario.concerns(protocol, None, None):
                return scenario.status
        return None

    def end(
        self, began: Iterable[Scenario], now: float, connections: Mapping[Connection, Streams]
    ) -> None:
        """Cut or close what the scenarios that begin now say, and what was announced before."""
        for scenario in began:
            for connection, streams in connections.items():
                if not scenario.concerns(streams.name, None, None):
                    continue
                if scenario.kind == "drop":
                    connection.cut()
                elif scenario.kind == "early_cut":
                    streams.announce_end(connection, now)
                    self._ends.append((now + scenario.delay, connection))
        for at, connection in self._ends:
            if now >= at:
                connection.close(GOING_AWAY)
        self._ends = [end for end in self._ends if now < end[0]]

    def silence(self, connections: Mapping[Connection, Streams]) -> None:
        """Tell connections whether they may speak now."""
        silent = [
            one
            for one in self._scenarios.in_force
            if one.kind in ("silence", "pong_only", "answers_only") and one.active
        ]
        for connection, streams in connections.items():
            kinds = {
                one.kind
                for one in silent
                if one.concerns(streams.name, None, None)
                and (one.sockets == "all" or connection.opened < one.began)
            }
            connection.silenced = bool(kinds & {"silence", "pong_only"})
            connection.unserved = "answers_only" in kinds
            connection.answers_pings = "silence" not in kinds
