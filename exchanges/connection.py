"""One WebSocket to an exchange: connect, subscribe, hand over frames, notice silence."""

import json
import logging
import socket as sockets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

import websocket

from exchanges.errors import BadPayload, LivermoreError, Unreachable, clip
from exchanges.stream_events import Event, Refused
from exchanges.venue_stream import StreamSession, Topic, VenueStream

logger = logging.getLogger(__name__)

CONNECT_SECONDS = 10
RECEIVE_SECONDS = 0.5  # how long a quiet socket keeps the loop from its other duties
RECEIVE_BYTES = 65_536
SILENCE_SECONDS = 30  # without a data frame; pings and pongs prove nothing
ACK_SECONDS = 10
ACK_TRIES = 3
SECONDS_BETWEEN_COMPLAINTS = 60
WHOLE_TEXT, TWO_BYTES_FOLLOW = 0x81, 126  # RFC 6455, 5.2: FIN and opcode, length
FAILURES = (OSError, ValueError, websocket.WebSocketException)
PORTS = {"wss": 443, "ws": 80}
# Why a frame can't be read, by what its reader met; the first that fits.
REASONS: dict[str, tuple[type[Exception], ...]] = {
    "not_json": (json.JSONDecodeError,),
    "missing_field": (LookupError,),
    "wrong_type": (TypeError, AttributeError),
    "bad_value": (Exception,),
}


class BufferedWebSocket(websocket.WebSocket):
    """The library's socket, reading 64 KB at a time where it would read each header by itself.

    That is ten times the frames per second, and `recv_texts` four times as many again. `_recv` is
    private to the library: the range in requirements.txt ends before its next major version, and a
    test holds what it relies on.
    """

    def __init__(self, **options):
        super().__init__(skip_utf8_validation=True, **options)
        self._chunk = b""
        self._at = 0

    def _recv(self, bufsize: int) -> bytes:
        if self._at >= len(self._chunk):
            self._chunk, self._at = super()._recv(RECEIVE_BYTES), 0
        part = self._chunk[self._at : self._at + bufsize]
        self._at += len(part)
        return part

    def recv_texts(self) -> list[bytes]:
        """Return the text messages that have come whole already; the socket is not asked.

        To be called after a message, never within one. They are nearly all of a stream; fragments,
        control frames and what is only half here is left to the library.
        """
        chunk, at, found = self._chunk, self._at, []
        while at + 4 <= len(chunk) and chunk[at] == WHOLE_TEXT:
            size, begins = chunk[at + 1], at + 2
            if size > TWO_BYTES_FOLLOW:  # eight bytes, or a mask, which a server must not use
                break
            if size == TWO_BYTES_FOLLOW:
                size, begins = chunk[at + 2] << 8 | chunk[at + 3], at + 4
            ends = begins + size
            if ends > len(chunk):
                break
            found.append(chunk[begins:ends])
            at = ends
        self._at = at
        return found


class Inbox:
    """Frames of one connection that wait to be read, oldest first.

    Of the frames that tell the whole of the same thing only the newest is kept.
    """

    def __init__(self, name_of: Callable[[bytes], bytes | None]):
        self._name_of = name_of
        self._lock = threading.Lock()
        self._frames: dict[bytes | int, bytes] = {}
        self.received = 0

    def put(self, frames: Iterable[bytes]) -> None:
        with self._lock:
            for frame in frames:
                self.received += 1
                self._frames[self._name_of(frame) or self.received] = frame

    def take(self) -> list[bytes]:
        """Return and forget what waits."""
        with self._lock:
            frames, self._frames = self._frames, {}
        return list(frames.values())


class Connection:
    """One socket in a thread of its own, from connecting to its end; it never connects twice.

    `opened` is true once everything was confirmed and a frame of data came, `ended` when the socket
    is closed, with `reason`. The owner calls `read` often and decides what comes next.
    """

    def __init__(self, stream: VenueStream, topics: Iterable[Topic]):
        self._stream = stream
        self.topics: set[Topic] = set(topics)
        self.session: StreamSession = stream.session()
        self.inbox = Inbox(self.session.superseded_by)
        self.opened = False
        self.given_up: set[Topic] = set()
        self.malformed = 0
        self._refused: Counter[str] = Counter()
        self._told: Counter[str] = Counter()
        self.ended = threading.Event()
        self.reason = ""
        self.started_at = time.monotonic()
        self._stopping = threading.Event()
        self._outbox: list[str] = []
        self._sending = threading.Lock()
        self._last_data_at = time.monotonic()
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

    def read(self) -> list[Event]:
        """Return what came since the last call, in order."""
        events: list[Event] = []
        with self._sending:  # the session is for one thread at a time
            for frame in self.inbox.take():
                try:
                    events += self.session.parse(frame)
                except BadPayload as error:
                    self.malformed += 1
                    self._refused[_reason(error)] += 1
                    self._complain("malformed", error)
            self.opened = self.opened or bool(events and not self.session.unacknowledged())
        for event in events:
            if isinstance(event, Refused):
                self._complain("refused", event.reason)
        return events

    def add(self, topics: Iterable[Topic]) -> None:
        """Subscribe more, without touching the others."""
        with self._sending:
            topics = [topic for topic in topics if topic not in self.topics]
            self.topics.update(topics)
            self._outbox += self.session.subscribe(topics)

    def remove(self, topics: Iterable[Topic]) -> None:
        """Unsubscribe some."""
        with self._sending:
            topics = [topic for topic in topics if topic in self.topics]
            self.topics.difference_update(topics)
            self._outbox += self.session.unsubscribe(topics)

    def again(self, topics: Iterable[Topic]) -> None:
        """Subscribe anew what has fallen silent."""
        with self._sending:
            topics = [topic for topic in topics if topic in self.topics]
            self._outbox += self.session.unsubscribe(topics) + self.session.subscribe(topics)

    def _run(self) -> None:
        doing = "cannot connect: "
        try:
            socket = self._connect()
            doing = ""
            try:
                self._talk(socket)
            finally:
                socket.shutdown()
            self.reason = "closed by us"
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
        socket.settimeout(CONNECT_SECONDS)
        socket.connect(
            self._stream.url,
            socket=_open(self._stream),
            suppress_origin=True,
            # What the row says, no proxy from the environment; the library looks at the second
            # only where there is the first.
            http_proxy_host="none",
            http_no_proxy=["*"],
            redirect_limit=0,
        )
        status = socket.handshake_response.status
        if status != 101:  # a redirect: it could lead to a host that nobody allowed
            raise Unreachable(f"the exchange answered HTTP {status} instead of a WebSocket")
        return socket

    def _talk(self, socket: BufferedWebSocket) -> None:
        with self._sending:
            self._outbox += self.session.subscribe(sorted(self.topics))
        self._last_data_at = asked_at = time.monotonic()
        next_send_at, tries = 0.0, 1
        while not self._stopping.is_set():
            now = time.monotonic()
            if self._outbox and now >= next_send_at:
                self._send_one(socket)
                next_send_at = now + self._stream.limits.seconds_between_messages
                asked_at = now
            self._receive(socket)
            if now - self._last_data_at > SILENCE_SECONDS:
                raise Unreachable(f"no data for {SILENCE_SECONDS} s")
            if now - asked_at > ACK_SECONDS and not self._outbox:
                asked_at, tries = self._ask_again(now, tries)

    def _send_one(self, socket: BufferedWebSocket) -> None:
        with self._sending:
            socket.send(self._outbox.pop(0))

    def _receive(self, socket: BufferedWebSocket) -> None:
        socket.sock.settimeout(0.02 if self._outbox else RECEIVE_SECONDS)
        deadline = time.monotonic() + 0.1
        try:
            while True:
                opcode, frame = socket.recv_data(control_frame=True)
                if opcode == websocket.ABNF.OPCODE_CLOSE:
                    raise Unreachable(f"the exchange closed the connection: {_close_text(frame)}")
                if opcode in (websocket.ABNF.OPCODE_TEXT, websocket.ABNF.OPCODE_BINARY):
                    self.inbox.put([frame, *socket.recv_texts()])
                    self._last_data_at = time.monotonic()
                if time.monotonic() > deadline:
                    return
        except websocket.WebSocketTimeoutException:
            return

    def _ask_again(self, now: float, tries: int) -> tuple[float, int]:
        missing = self.session.unacknowledged()
        if not missing:
            return float("inf"), 1
        if tries >= ACK_TRIES:
            return self._give_up(missing)
        logger.warning("connection.unconfirmed topics=%d try=%d", len(missing), tries)
        with self._sending:
            self._outbox += self.session.subscribe(sorted(missing))
        return now, tries + 1

    def _give_up(self, missing: set[Topic]) -> tuple[float, int]:
        """Do without what the exchange doesn't confirm, as it does with names that are dead."""
        if not self.topics - self.given_up - missing:
            raise Unreachable(f"{len(missing)} subscriptions were never confirmed")
        logger.error("connection.given_up url=%s topics=%s", self._stream.url, sorted(missing)[:20])
        with self._sending:
            self.session.unsubscribe(missing)  # forgotten; there is nothing to end
            self.given_up |= missing
        return float("inf"), 1

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
    return f"{code} {clip(frame[2:])}".strip()
