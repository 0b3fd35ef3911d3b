"""Frames that wait to be read."""

import sys
import threading
from collections.abc import Callable, Iterable
from itertools import islice

EVERY = sys.maxsize
MOST_WAITING_BYTES = 16_000_000  # until somebody reads them
FRAME_BYTES = 128  # that a frame takes beside its text: a million empty ones are not for nothing


class Inbox:
    """Frames of one connection that wait to be read, oldest first.

    Of the frames that tell the whole of the same thing only the newest is kept.
    """

    def __init__(
        self,
        name_of: Callable[[bytes], bytes | None],
        may_close: Callable[[bytes], bool] = lambda frame: False,
        wake: Callable[[], None] = lambda: None,
    ):
        """`wake` is called where one came that may close a bar."""
        self._name_of = name_of
        self._may_close = may_close
        self._wake = wake
        self._lock = threading.Lock()
        self._frames: dict[bytes | int, bytes] = {}
        self._nameless: list[int] = []
        self._size = 0
        self.received = 0

    @property
    def is_full(self) -> bool:
        """Tell whether so much waits that no more should be put in."""
        return self._size + FRAME_BYTES * len(self._frames) > MOST_WAITING_BYTES

    @property
    def waiting(self) -> int:
        """Return how many frames wait to be read."""
        return len(self._frames)

    def put(self, frames: Iterable[bytes]) -> None:
        closes = False
        with self._lock:
            for frame in frames:
                self.received += 1
                name: bytes | int | None = self._name_of(frame)
                if name is None:
                    name = self.received
                    self._nameless.append(name)
                    closes = self._may_close(frame) or closes
                self._size += len(frame) - len(self._frames.get(name, b""))
                self._frames[name] = frame
        if closes:
            self._wake()

    def take(self, most: int = EVERY) -> list[bytes]:
        """Return and forget what waits, the oldest so many of it."""
        with self._lock:
            if len(self._frames) > most:
                names = list(islice(self._frames, most))
                first = [self._frames.pop(name) for name in names]
                self._size -= sum(map(len, first))
                del self._nameless[: sum(type(name) is int for name in names)]
                return first
            frames, self._frames, self._size = self._frames, {}, 0
            self._nameless = []
        return list(frames.values())

    def take_nameless(self) -> list[bytes]:
        """Return and forget what must be read, frame by frame; what may be superseded stays."""
        with self._lock:
            names, self._nameless = self._nameless, []
            frames = [self._frames.pop(name) for name in names]
            self._size -= sum(map(len, frames))
        return frames
