"""The scenarios that are in force."""

from collections.abc import Callable, Iterable
from threading import Lock

from exchanges.sandbox.faults.scenario import OF_A_SYMBOL, Scenario


class Scenarios:
    """The scenarios in force; set from any thread, read by the server's.

    `on_change` is called after each change and makes it hold before the caller goes on.
    """

    def __init__(self, first_symbol: str, on_change: Callable[[], None] = lambda: None):
        self._first_symbol = first_symbol
        self._on_change = on_change
        self._lock = Lock()
        self._scenarios: tuple[Scenario, ...] = ()

    def add(self, kind: str, **settings) -> Scenario:
        """Put one more in force and return it; its `hits` count what it did."""
        scenario = self._made({"kind": kind} | settings)
        with self._lock:
            self._scenarios += (scenario,)
        self._on_change()
        return scenario

    def replace(self, scenarios: Iterable[dict]) -> None:
        """Put exactly these in force. Raises ValueError or TypeError, changing nothing."""
        made = tuple(self._made(dict(settings)) for settings in scenarios)
        with self._lock:
            self._scenarios = made
        self._on_change()

    def clear(self) -> None:
        self.replace(())

    def _made(self, settings: dict) -> Scenario:
        if settings.get("kind") in OF_A_SYMBOL:
            settings.setdefault("symbol", self._first_symbol)
        if settings.get("kind") == "renamed":
            settings.setdefault("to", settings["symbol"].replace("-", "2-", 1))
        return Scenario(**settings)

    @property
    def in_force(self) -> tuple[Scenario, ...]:
        return self._scenarios
