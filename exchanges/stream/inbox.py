"""Frames that wait to be read."""

import threading
from collections.abc import Callable, Iterable

MOST_WAITING_BYTES = 16_000_000  # until somebody reads them


class Inbox:
    """Frames of one connection that wait to be read, oldest first.

    Of the frames that tell the whole of the same thing only the newest is kept.
    """

    def __init__(self, name_of: Callable[[bytes], bytes | None]):
        self._name_of = name_of
        self._lock = threading.Lock()
        self._frames: dict[bytes | int, bytes] = {}
        self._size = 0
        self.received = 0

    @property
    def is_full(self) -> bool:
        """Tell whether so much waits that no more should be put in."""
        return self._size > MOST_WAITING_BYTES

    def put(self, frames: Iterable[bytes]) -> None:
        with self._lock:
            for frame in frames:
                self.received += 1
                name = self._name_of(frame) or self.received
                self._size += len(frame) - len(self._frames.get(name, b""))
                self._frames[name] = frame

    def take(self) -> list[bytes]:
        """Return and forget what waits."""
        with self._lock:
            frames, self._frames, self._size = self._frames, {}, 0
        return list(frames.values())
