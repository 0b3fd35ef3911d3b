"""What a process knows of a host's hash in Redis, should Redis lose it."""

import threading
from collections.abc import Sequence
from time import monotonic

SECONDS_BETWEEN_LOOKS = 1.0
SLICE_MS = {"weight": 1000, "requests": 5000}  # as window.lua counts them
LOOK_LASTS_MS = 5000  # so long a look may have been on its way


class HostMemory:
    """The fields of a host's hash at the last look, and what this process sent since.

    `since` is when the hash began, which tells one that was lost and begun anew; "" before the
    first look. Threads may share it.
    """

    def __init__(self) -> None:
        self.since = ""
        self._fields: dict[str, int] = {}
        self._now_ms = 0  # by Redis's clock, at the last look
        self._looked_at = 0.0
        self._due_at = float("-inf")
        self._lock = threading.Lock()

    def question(self) -> list[str | int]:
        """Return which hash is known, and 1 where it is time for another look, else 0."""
        return [self.since, int(not self.since or monotonic() >= self._due_at)]

    def look_soon(self) -> None:
        """Take note that the hash has changed."""
        self._due_at = float("-inf")

    def learn(self, told: Sequence[bytes | int]) -> None:
        """Take note of a look: the time by Redis's clock, then fields and values in turn."""
        now_ms, texts = int(told[0]), [bytes(each).decode() for each in told[1:]]
        fields = {name: int(text) for name, text in zip(texts[::2], texts[1::2], strict=True)}
        with self._lock:
            self.since = str(fields.pop("since", ""))
            # What another thread has added meanwhile is not in this look.
            for name, value in self._fields.items():
                if _is_lasting(name, now_ms):
                    fields[name] = max(value, fields.get(name, 0))
            self._fields, self._now_ms, self._looked_at = fields, now_ms, monotonic()
            self._due_at = self._looked_at + SECONDS_BETWEEN_LOOKS

    def add(self, **amounts: int) -> None:
        """Add to fields what was sent since; less than 0 for what never left."""
        with self._lock:
            for name, amount in amounts.items():
                self._fields[name] = max(0, self._fields.get(name, 0) + amount)

    def raise_to(self, **values: int) -> None:
        """Take note that fields hold these values at the least."""
        with self._lock:
            for name, value in values.items():
                self._fields[name] = max(self._fields.get(name, 0), value)

    def told(self) -> list[str | int]:
        """Return the time that it should be by Redis's clock, then fields and values in turn."""
        with self._lock:
            passed_ms = round(1000 * (monotonic() - self._looked_at))
            pairs = [each for pair in self._fields.items() for each in pair]
            return [self._now_ms + passed_ms, *pairs]


_memories: dict[str, HostMemory] = {}
_remembering = threading.Lock()


def memory_of(key: str) -> HostMemory:
    """Return what this process knows of a host, whoever of it calls: one memory for each key."""
    with _remembering:
        return _memories.setdefault(key, HostMemory())


def forget_all() -> None:
    """Let the next who asks begin with nothing."""
    with _remembering:
        _memories.clear()


def _is_lasting(name: str, now_ms: int) -> bool:
    """Tell whether a field only grows: an end that is kept, or a slice that is counted now."""
    kind, _, number = name.partition(":")
    if kind in SLICE_MS:
        return now_ms - int(number) * SLICE_MS[kind] < SLICE_MS[kind] + LOOK_LASTS_MS
    return name in ("held_until", "banned_until", "limits_until")
