"""Who listens to which stream, and frames that are made once and written to all of them."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Hashable, Iterable
from typing import NamedTuple, Protocol

LONGEST_REASON = 123  # bytes, of why a connection ends (RFC 6455, 5.5)
LONGEST_UNSENT = 1_000_000  # bytes; who leaves more unread is dropped, never waited for


class Topic(NamedTuple):
    """What can be listened to: klines, or tickers, which have no timeframe.

    Without a symbol it is all of them.
    """

    exchange_id: int
    kind: str
    symbol: str
    timeframe: str = ""


class Form(Hashable, Protocol):
    """How a client wants what it listens to. What is equal writes the same."""

    def write(self, payload: bytes) -> bytes: ...


class Listener(Protocol):
    """A client's connection."""

    def is_slow(self) -> bool: ...

    def write(self, frames: bytes) -> None: ...

    def drop(self, why: str) -> None: ...


class Hub:
    """All topics of one process. Used in the event loop's thread alone."""

    def __init__(
        self, wanted: Callable[[Topic], Awaitable[None]], unwanted: Callable[[Topic], object]
    ):
        """`wanted` is told of each topic with a listener, `unwanted` when it has none any more."""
        self._wanted, self._unwanted = wanted, unwanted
        self._listeners: dict[Topic, dict[tuple[Listener, str], Form]] = {}
        self._by_form: dict[Topic, dict[Form, list[Listener]]] = {}  # the same, until that changes

    async def join(self, listener: Listener, topic: Topic, name: str, form: Form) -> None:
        """Send a topic to a client, which calls it by `name`, in this form from now on.

        Nothing is missed that is told after this returns.
        """
        self._listeners.setdefault(topic, {})[listener, name] = form
        self._by_form.pop(topic, None)
        await self._wanted(topic)

    def leave(self, listener: Listener, topic: Topic, name: str) -> None:
        """Undo `join`."""
        listeners = self._listeners.get(topic, {})
        self._by_form.pop(topic, None)
        if listeners.pop((listener, name), None) is not None and not listeners:
            del self._listeners[topic]
            self._unwanted(topic)

    def has(self, topic: Topic) -> bool:
        """Tell whether anybody listens."""
        return topic in self._listeners

    def publish(self, batch: Iterable[tuple[Topic, bytes]]) -> None:
        """Write a batch, each a topic and its payload, in one go a client."""
        pending: defaultdict[Listener, list[bytes]] = defaultdict(list)
        for topic, payload in batch:
            for form, listeners in self._who_listens(topic).items():
                frame = text_frame(form.write(payload))
                for listener in listeners:
                    pending[listener].append(frame)
        for listener, frames in pending.items():
            if listener.is_slow():
                listener.drop("too slow: read what is sent to you")
            else:
                listener.write(b"".join(frames))

    def _who_listens(self, topic: Topic) -> dict[Form, list[Listener]]:
        """Return the listeners of a topic by how they want it."""
        found = self._by_form.get(topic)
        if found is None and topic in self._listeners:
            found = self._by_form[topic] = {}
            for (listener, _), form in self._listeners[topic].items():
                found.setdefault(form, []).append(listener)
        return found or {}


def text_frame(payload: bytes) -> bytes:
    """Return a whole text message as a server's frame (RFC 6455, 5.2)."""
    size = len(payload)
    if size < 126:
        header = bytes((0x81, size))
    elif size < 65_536:
        header = b"\x81\x7e" + size.to_bytes(2, "big")
    else:
        header = b"\x81\x7f" + size.to_bytes(8, "big")
    return header + payload


def close_frame(code: int, why: str) -> bytes:
    """Return the frame that ends a connection and says why."""
    payload = code.to_bytes(2, "big") + close_reason(why)
    return bytes((0x88, len(payload))) + payload


def close_reason(text: str) -> bytes:
    """Return as much of a text as such a frame has room for, whole characters alone."""
    cut = text.encode(errors="replace")[:LONGEST_REASON]
    return cut.decode(errors="ignore").encode()
