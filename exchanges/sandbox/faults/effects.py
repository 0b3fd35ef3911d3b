"""What scenarios do to connections, to REST and to what is listed."""

from collections.abc import Mapping
from typing import Any

from exchanges.sandbox.faults.faults import Fault, Faults
from exchanges.sandbox.faults.scenarios import Scenario, Scenarios
from exchanges.sandbox.market.clock import SandboxClock
from exchanges.sandbox.market.listings import GONE
from exchanges.sandbox.market.market import Market
from exchanges.sandbox.server.connection import Connection

LISTING_FAULTS = {
    "listing_halted": "halted", "listing_short": "short", "listing_bad_row": "bad_row",
}  # fmt: skip
REST_KINDS = (
    "rest_429", "rest_418", "rest_401", "rest_403", "rest_451", "rest_holes", "rest_empty",
    "rest_late", "rest_time", "slow", *LISTING_FAULTS,
)  # fmt: skip


class ScenarioEffects:
    """Look at the scenarios once per pass: cut, silence, refuse, put REST faults in force, halt."""

    def __init__(self, scenarios: Scenarios, faults: Faults, clock: SandboxClock, market: Market):
        self._scenarios = scenarios
        self._faults = faults
        self._clock = clock
        self._market = market
        self._stopped: dict[str, str] = {}  # what scenarios stopped, by symbol
        self._renamed: set[str] = set()  # the new names that scenarios listed
        self._known: dict[int, Scenario] = {}
        self._rest: dict[int, Fault] = {}  # by the id of its scenario
        self._cuts: list[tuple[float, Connection]] = []

    def apply(self, now: float, connections: Mapping[Connection, Any]) -> None:
        """Begin and end what is due; `connections` are the open ones and their protocols."""
        if not self._scenarios.in_force and not self._known and not self._cuts:
            return
        began = [one for one in self._scenarios.in_force if one.update(now)]
        for scenario in began:
            if scenario.kind in ("drop", "early_cut"):
                self._end_connections(scenario, now, connections)
        for at, connection in self._cuts:
            if now >= at:
                connection.close(1001)
        self._cuts = [cut for cut in self._cuts if now < cut[0]]
        self.silence(connections)
        self._set_rest()
        self._set_market()
        self._known = {id(one): one for one in self._scenarios.in_force}

    def refusal(self, protocol: str) -> int | None:
        """Return the HTTP status that new connections get now, None where they are let in."""
        for scenario in self._scenarios.in_force:
            refuses = scenario.kind == "refuse" and scenario.active
            if refuses and scenario.concerns(protocol, None, None):
                return scenario.status
        return None

    def _end_connections(self, scenario: Scenario, now: float, connections: Mapping) -> None:
        for connection, streams in connections.items():
            if not scenario.concerns(streams.name, None, None):
                continue
            if scenario.kind == "drop":
                connection.cut()
            else:
                streams.announce_end(connection, now)
                self._cuts.append((now + scenario.delay, connection))

    def silence(self, connections: Mapping[Connection, Any]) -> None:
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

    def _set_rest(self) -> None:
        active = {id(one): one for one in self._scenarios.in_force if one.active}
        for key in [key for key in self._rest if key not in active]:
            self._faults.remove(self._rest.pop(key))
        for key, scenario in active.items():
            if scenario.kind in REST_KINDS and key not in self._rest:
                self._rest[key] = self._faults.add(**_fault(scenario))
        skews = [one.ms for one in active.values() if one.kind == "skew"]
        known_skew = any(one.kind == "skew" for one in self._known.values())
        if skews or known_skew:
            self._clock.skew_ms = sum(skews)

    def _set_market(self) -> None:
        """Let symbols trade, or not, as the scenarios that are active now say."""
        active = [
            one
            for one in self._scenarios.in_force
            if one.active and one.kind in ("halted", "delisted", "renamed")
        ]
        wanted = {
            one.symbol: one.state if one.kind == "halted" else GONE
            for one in active
            if one.symbol in self._market.listings
        }
        now_ms = self._clock.now_ms()
        for symbol in self._stopped.keys() - wanted.keys():
            self._market.resume(symbol, now_ms)
        for symbol, status in wanted.items():
            if self._stopped.get(symbol) != status:
                self._market.stop(symbol, status, now_ms)
        self._stopped = wanted
        names = {one.to: one.symbol for one in active if one.kind == "renamed"}
        for name in self._renamed - names.keys():
            self._market.stop(name, GONE, now_ms)
        for name in names.keys() - self._renamed:
            self._market.list_anew(names[name], name, now_ms)
        self._renamed = set(names)


def _fault(scenario: Scenario) -> dict:
    """Return the REST fault that a scenario puts in force."""
    if way := LISTING_FAULTS.get(scenario.kind):
        row = {"way": way, "chance": scenario.chance, "listed": scenario.symbol}
        return {"kind": "listing", "protocol": scenario.protocol} | row
    scope = {name: getattr(scenario, name) for name in ("protocol", "symbol", "timeframe")}
    match scenario.kind:
        case "slow":
            return scope | {"kind": "slow", "seconds": scenario.delay}
        case "rest_holes":
            return scope | {"kind": "holes", "chance": scenario.chance}
        case "rest_empty":
            return scope | {"kind": "empty", "chance": scenario.chance}
        case "rest_late":
            return scope | {"kind": "late", "seconds": scenario.delay, "way": scenario.way}
        case "rest_time":
            return {"protocol": scenario.protocol, "kind": "time", "ms": scenario.ms}
        case "rest_401":
            return scope | {"kind": "refused_key", "chance": scenario.chance}
        case "rest_429" | "rest_418":
            scope["retry_after"] = scenario.retry_after
    return scope | {"kind": "status", "status": int(scenario.kind.removeprefix("rest_"))}
