"""One WebSocket to an exchange: connect, subscribe, hand over frames, notice silence."""

import json
import logging
import socket as sockets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Set
from contextlib import suppress
from urllib.parse import urlsplit

import websocket

from exchanges.errors import BadPayload, Excessive, LivermoreError, Unreachable, clip
from exchanges.stream.base import StreamSession, Topic, VenueStream
from exchanges.stream.events import Event, Refused
from exchanges.stream.inbox import Inbox
from exchanges.stream.subscriptions import Subscriptions
from exchanges.stream.wire.frames import BINARY, CLOSE, MOST_READ_BYTES, TEXT
from exchanges.stream.wire.websocket import BufferedWebSocket

logger = logging.getLogger(__name__)

CONNECT_SECONDS = 10
RECEIVE_SECONDS = 0.5  # how long a quiet socket keeps the loop from its other duties
HASTE_SECONDS = 0.02  # the same, while something is to be sent
SILENCE_SECONDS = 30  # without any frame it is pinged, without a heartbeat that is due it is dead
PONG_SECONDS = 10
ACK_SECONDS = 5
QUIET_SECONDS = 10  # a confirmed subscription is taken for one although nothing came of it
SECONDS_BETWEEN_COMPLAINTS = 60
MESSAGE_SECONDS = 30  # for a message to be whole, once it has begun
MOST_CONTROLS, CONTROLS_SECONDS = 50_000, 10  # an exchange pings once in some seconds
FAILURES = (OSError, ValueError, websocket.WebSocketException)
PORTS = {"wss": 443, "ws": 80}
# Why a WebSocket was closed, in our words (RFC 6455, 7.4.1, and IANA's registry).
CLOSE_PHRASES = {
    1000: "done",
    1001: "going away",
    1002: "protocol error",
    1003: "kind of data not accepted",
    1007: "data not understood",
    1008: "against its rules",
    1009: "message too long",
    1011: "fault of the server",
    1012: "the server starts anew",
    1013: "try again later",
    1014: "bad gateway",
}
# Why a frame can't be read, by what its reader met; the first that fits.
REASONS: dict[str, tuple[type[Exception], ...]] = {
    "not_json": (json.JSONDecodeError,),
    "missing_field": (LookupError,),
    "wrong_type": (TypeError, AttributeError),
    "bad_value": (Exception,),
}


class Connection:
    """One socket in a thread of its own, from connecting to its end; it never connects twice.

    `accepted` is set once the exchange took the WebSocket;
    `opened` is true once something was confirmed and a frame of data came, or none for a while;
    `flowing` once such a frame came with all confirmed; `ended` when the socket is closed, with
    `reason`. The owner calls `read` often and decides what comes next.
    """

    def __init__(
        self,
        stream: VenueStream,
        topics: Iterable[Topic],
        refused: Set[Topic] = frozenset(),
        wake: Callable[[], None] = lambda: None,
    ):
        """`refused` are those of the topics that the exchange is known to refuse.

        `wake` is called, in its thread, where a frame came that may close a bar.
        """
        self._stream = stream
        self.session: StreamSession = stream.session()
        self._subscriptions = Subscriptions(
            self.session, topics, refused, stream.market_in, ACK_SECONDS
        )
        self._pace = stream.pace()
        self.inbox = Inbox(self.session.superseded_by, self.session.may_close, wake)
        self.opened = self.flowing = False
        self._confirmed_at: float | None = None
        self.answer_seconds = 2 * ACK_SECONDS  # so long may an answer to a question take
        self.malformed = 0
        self._refused: Counter[str] = Counter()
        self._told: Counter[str] = Counter()
        self.accepted, self.ended = threading.Event(), threading.Event()
        self.reason = ""
        self.started_at = time.monotonic()
        self._stopping = threading.Event()
        self._sending = threading.Lock()
        self._frame_at = self._data_at = time.monotonic()  # pings and pongs are frames, too
        self._pinged_at: float | None = None
        self._half_at = self._controls_at = self._frame_at  # since when a message lacks its end
        self._controls = 0  # frames without data, since then
        self._complained_at = float("-inf")
        self._thread = threading.Thread(target=self._run, name="connection", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """End it; returns at once."""
        self._stopping.set()

    def join(self, seconds: float) -> None:
        self._thread.join(seconds)

    @property
    def topics(self) -> set[Topic]:
        """Return what it is to be subscribed to."""
        return self._subscriptions.topics

    @property
    def given_up(self) -> dict[Topic, str]:
        """Return the topics that the exchange refuses, with what it said."""
        return self._subscriptions.given_up

    @property
    def settled(self) -> bool:
        """Tell whether all that was asked for is confirmed or given up."""
        return not self._subscriptions.busy

    @property
    def asking(self) -> bool:
        """Tell whether answers are due, and nothing was refused that would delay them."""
        return not (self.settled or self._subscriptions.searching)

    @property
    def answered(self) -> int:
        """Return how many of our messages the exchange has answered."""
        return self.session.answered

    def missing(self) -> set[Topic]:
        """Return the topics that are neither confirmed nor given up."""
        return self._subscriptions.missing()

    @property
    def age_seconds(self) -> float:
        return time.monotonic() - self.started_at

    def counted(self) -> Counter[str]:
        """Return what was counted since the last call: frames, malformed and unknown ones."""
        now = Counter(
            frames=self.inbox.received, malformed=self.malformed, unknown=self.session.unknown
        )
        since, self._told = now - self._told, now
        return since

    def refused(self) -> Counter[str]:
        """Return why frames could not be read since the last call: a reason and how many."""
        since, self._refused = self._refused, Counter()
        return since

    def read(self, *, nameless: bool = False) -> list[Event]:
        """Return what came since the last call, in order.

        `nameless` leaves those frames of which only the newest counts for later.
        """
        events: list[Event] = []
        now = time.monotonic()
        with self._sending:  # the session is for one thread at a time
            for frame in self.inbox.take_nameless() if nameless else self.inbox.take():
                try:
                    if len(frame) > MOST_READ_BYTES:
                        raise BadPayload(f"a frame of {len(frame):,} bytes, which none has")
                    events += self.session.parse(frame)
                except BadPayload as error:
                    self.malformed += 1
                    self._refused[_reason(error)] += 1
                    self._complain("malformed", error)
            refusals = [event for event in events if isinstance(event, Refused)]
            try:
                self._subscriptions.check(now, refusals)
            except Unreachable as error:
                self.end(str(error))
            self._note_life(now, len(events) > len(refusals))
        for refusal in refusals:
            self._complain("refused", refusal.reason)
        return events

    def _note_life(self, now: float, speaks: bool) -> None:
        if self.flowing:
            return
        answered = bool(self.session.confirmed) or not self.missing()
        if answered and self._confirmed_at is None:
            self._confirmed_at = now
        since = now if self._confirmed_at is None else self._confirmed_at
        quiet = answered and now - since > QUIET_SECONDS
        self.opened = self.opened or (answered and speaks) or quiet
        self.flowing = self.opened and speaks and self.settled

    def add(self, topics: Iterable[Topic]) -> None:
        """Subscribe more, without touching the others."""
        with self._sending:
            self._subscriptions.add(topics)

    def remove(self, topics: Iterable[Topic]) -> None:
        """Unsubscribe some."""
        with self._sending:
            self._subscriptions.remove(topics)

    def again(self, topics: Iterable[Topic]) -> None:
        """Subscribe anew what has fallen silent."""
        with self._sending:
            self._subscriptions.again(topics)

    def retry(self) -> None:
        """Ask once more for what was given up."""
        with self._sending:
            self._subscriptions.retry()

    def question(self) -> None:
        """Ask the exchange what it believes to be subscribed; what is not is asked for again."""
        with self._sending:
            self._subscriptions.question()

    def end(self, reason: str) -> None:
        """End it for a reason that is told; returns at once."""
        self.reason = reason
        self._stopping.set()

    def _run(self) -> None:
        doing = "cannot connect: "
        try:
            socket = self._connect()
            doing = ""
            self.accepted.set()
            try:
                self._talk(socket)
            finally:
                with suppress(OSError):
                    socket.shutdown()
            self.reason = self.reason or "closed by us"
        except LivermoreError as error:
            self.reason = f"{doing}{error}"
        except FAILURES as error:
            self.reason = doing + (clip(str(error)) or type(error).__name__)
        except Exception:
            self.reason = "a fault of ours, see the log"
            logger.exception("connection.died url=%s", self._stream.url)
        finally:
            self.ended.set()

    def _connect(self) -> BufferedWebSocket:
        socket = BufferedWebSocket(enable_multithread=False)
        socket.begin(_open(self._stream), self._stream.url, CONNECT_SECONDS)
        return socket

    def _talk(self, socket: BufferedWebSocket) -> None:
        self._frame_at = self._data_at = self._half_at = self._controls_at = time.monotonic()
        while not self._stopping.is_set():
            now = time.monotonic()
            self._send_one(socket, now)
            self._receive(socket)
            self._look_for_life(socket, now)

    def _look_for_life(self, socket: BufferedWebSocket, now: float) -> None:
        """Ping where nothing comes. Whether what is due comes is the owner's to know.

        What comes is a whole message, or a whole control frame, and of these not too many.
        """
        if not socket.is_within or self._data_at > self._half_at:
            self._half_at = now
        elif now - self._half_at > MESSAGE_SECONDS:
            raise Excessive(f"a message was not whole after {MESSAGE_SECONDS} s")
        if self._controls > MOST_CONTROLS:
            raise Excessive(
                f"the exchange sent more than {MOST_CONTROLS:,} pings in {CONTROLS_SECONDS} s"
            )
        if now - self._controls_at > CONTROLS_SECONDS:
            self._controls_at, self._controls = now, 0
        if self.session.has_heartbeats and now - self._data_at > SILENCE_SECONDS:
            raise Unreachable(f"no data for {SILENCE_SECONDS} s, not even a heartbeat")
        silence = now - self._frame_at
        if silence <= SILENCE_SECONDS:
            self._pinged_at = None
        elif self._pinged_at is None:
            if self._pace.take(now):
                socket.ping()
                self._pinged_at = now
        elif now - self._pinged_at > PONG_SECONDS:
            raise Unreachable(f"no sign of life for {silence:.0f} s, no answer to a ping either")

    def _send_one(self, socket: BufferedWebSocket, now: float) -> None:
        with self._sending:
            if self._subscriptions.has_message(now) and self._pace.take(now):
                socket.send(self._subscriptions.next_message(now))

    def _receive(self, socket: BufferedWebSocket) -> None:
        if self.inbox.is_full:  # who reads it is slower: the exchange has to wait
            self._stopping.wait(HASTE_SECONDS)
            self._frame_at = self._data_at = time.monotonic()
            return
        seconds = RECEIVE_SECONDS if self.settled else HASTE_SECONDS
        socket.wire.settimeout(seconds)
        deadline = time.monotonic() + 0.1
        socket.until = time.monotonic() + max(seconds, 0.1)
        try:
            while True:
                opcode, frame = socket.recv_data(control_frame=True)
                if opcode == CLOSE:
                    raise Unreachable(f"the exchange closed the connection: {_close_text(frame)}")
                self._frame_at = time.monotonic()
                if opcode in (TEXT, BINARY):
                    self.inbox.put([frame, *socket.recv_texts()])
                    self._data_at = self._frame_at
                else:
                    self._controls += 1
                if time.monotonic() > deadline or self.inbox.is_full:
                    return
        except websocket.WebSocketTimeoutException:
            return

    def _complain(self, what: str, text: object) -> None:
        if time.monotonic() - self._complained_at > SECONDS_BETWEEN_COMPLAINTS:
            self._complained_at = time.monotonic()
            logger.warning(
                "connection.%s url=%s malformed=%d text=%s",
                *(what, self._stream.url, self.malformed, clip(str(text))),
            )


def _open(stream: VenueStream) -> sockets.socket:
    parts = urlsplit(stream.url)
    if not parts.hostname or parts.scheme not in PORTS:
        raise ValueError(f"{clip(stream.url)} is no address of a WebSocket")
    port = parts.port or PORTS[parts.scheme]
    encrypted = parts.scheme == "wss"
    return stream.route.open(parts.hostname, port, CONNECT_SECONDS, encrypted=encrypted)


def _reason(error: BadPayload) -> str:
    cause = error.__cause__ or error
    return next(name for name, kinds in REASONS.items() if isinstance(cause, kinds))


def _close_text(frame: bytes) -> str:
    code = int.from_bytes(frame[:2]) if len(frame) >= 2 else 0
    if words := frame[2:]:
        logger.debug("connection.closed code=%d text=%s", code, clip(words))
    return f"{code} {CLOSE_PHRASES.get(code, '')}".strip()
