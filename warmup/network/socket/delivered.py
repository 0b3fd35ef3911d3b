"""What one browser was told: whether its snapshot is due, and what is news to it after that."""

from collections.abc import Mapping
from typing import Any

SECONDS_BETWEEN_SNAPSHOTS = 1.0
IN_SNAPSHOT = ("card", "gone", "agents", "readers", "accounts", "database", "alerts")


class Told:
    """The last snapshot of a browser, and the versions that it has of each card by now."""

    def __init__(self) -> None:
        self.snapshot_due = True
        self._next_snapshot_at = 0.0
        self._versions: dict[int, int] = {}
        self._accounts = ""

    def snapshot_in_seconds(self, now: float) -> float:
        """Return how long the next snapshot has to wait; 0 or less where it may go out."""
        return self._next_snapshot_at - now

    def begin_snapshot(self, now: float) -> None:
        """Take it that a snapshot goes out now."""
        self.snapshot_due = False
        self._next_snapshot_at = now + SECONDS_BETWEEN_SNAPSHOTS

    def snapshot_of(self, versions: Mapping[int, int], accounts: str) -> None:
        """Learn what the snapshot holds; `accounts` is the message of these."""
        self._versions, self._accounts = dict(versions), accounts

    def is_news(self, event: Mapping[str, Any]) -> bool:
        """Tell whether the browser's last snapshot, or the one that is due, lacks it."""
        if self.snapshot_due:
            return event["kind"] not in IN_SNAPSHOT
        if event["kind"] == "gone":
            return self._versions.pop(event["exchange"], None) is not None
        if event["kind"] == "accounts":
            before, self._accounts = self._accounts, event["text"]
            return before != self._accounts
        if event["kind"] != "card":
            return True
        version, known = event["version"], self._versions.get(event["exchange"], 0)
        if version < known or (version == known and event["since"] < version):
            return False
        self._versions[event["exchange"]] = version
        return True
