"""What scenarios do apart from frames: to connections, to REST, to symbols, to the clock."""

from collections.abc import Iterable, Mapping

from exchanges.sandbox.faults.connections import ConnectionFaults
from exchanges.sandbox.faults.fault import Fault
from exchanges.sandbox.faults.faults import Faults
from exchanges.sandbox.faults.scenario import Scenario
from exchanges.sandbox.faults.scenarios import Scenarios
from exchanges.sandbox.faults.symbols import SymbolFaults
from exchanges.sandbox.market.clock import SandboxClock
from exchanges.sandbox.market.market import Market
from exchanges.sandbox.protocol import Streams
from exchanges.sandbox.server.connection import Connection

LISTING_FAULTS = {
    "listing_halted": "halted", "listing_short": "short", "listing_bad_row": "bad_row",
}  # fmt: skip
REST_KINDS = (
    "rest_429", "rest_418", "rest_401", "rest_403", "rest_451", "rest_holes", "rest_empty",
    "rest_late", "rest_time", "slow", "archive", *LISTING_FAULTS,
)  # fmt: skip


class ScenarioEffects:
    """Begins and ends what is due, once per pass."""

    def __init__(self, scenarios: Scenarios, faults: Faults, clock: SandboxClock, market: Market):
        self.connections = ConnectionFaults(scenarios)
        self._scenarios = scenarios
        self._faults = faults
        self._clock = clock
        self._symbols = SymbolFaults(market)
        self._known: list[Scenario] = []
        self._rest: dict[int, Fault] = {}  # by the id of its scenario

    def apply(self, now: float, connections: Mapping[Connection, Streams]) -> None:
        """Make everything as the scenarios want it at `now`; `connections` are the open ones."""
        in_force = self._scenarios.in_force
        if not in_force and not self._known and not self.connections.under_way:
            return
        began = [one for one in in_force if one.update(now)]
        active = [one for one in in_force if one.active]
        self.connections.end(began, now, connections)
        self.connections.silence(connections)
        self._set_rest(active)
        self._set_clock(active)
        self._symbols.set(active, self._clock.now_ms())
        self._known = list(in_force)

    def _set_rest(self, active: Iterable[Scenario]) -> None:
        wanted = {id(one): one for one in active if one.kind in REST_KINDS}
        for key in self._rest.keys() - wanted.keys():
            self._faults.remove(self._rest.pop(key))
        for key in [key for key in wanted if key not in self._rest]:
            self._rest[key] = self._faults.add(**_fault(wanted[key]))

    def _set_clock(self, active: Iterable[Scenario]) -> None:
        """Put the clock off, or right again after a scenario that did."""
        skews = [one.ms for one in active if one.kind == "skew"]
        if skews or any(one.kind == "skew" for one in self._known):
            self._clock.skew_ms = sum(skews)


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
        case "archive":
            return scope | {"kind": "archive", "way": scenario.way, "chance": scenario.chance}
        case "rest_time":
            return {"protocol": scenario.protocol, "kind": "time", "ms": scenario.ms}
        case "rest_401":
            return scope | {"kind": "refused_key", "chance": scenario.chance}
        case "rest_429" | "rest_418":
            scope["retry_after"] = scenario.retry_after
    return scope | {"kind": "status", "status": int(scenario.kind.removeprefix("rest_"))}
