"""One WebSocket to an exchange: connect, subscribe, hand over frames, notice silence."""

import json
import logging
import socket as sockets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Set
from http import HTTPStatus
from math import inf
from urllib.parse import urlsplit

from exchanges.errors import BadPayload, Excessive, LivermoreError, Unreachable, clip
from exchanges.stream.base import StreamSession, Topic, VenueStream
from exchanges.stream.events import Event, Refused
from exchanges.stream.inbox import EVERY, Inbox
from exchanges.stream.subscriptions import Subscriptions
from exchanges.stream.wire.frames import MOST_READ_BYTES
from exchanges.stream.wire.handshake import shake_hands
from exchanges.stream.wire.reader import READ, WRITE, Reader
from exchanges.stream.wire.websocket import WebSocket
from exchanges.transport.dialing import Route

logger = logging.getLogger(__name__)

CONNECT_SECONDS = 10
LOOK_SECONDS = 0.5  # between two looks at a connection's age, silence and the like
BUSY_SECONDS = 0.02  # for whoever reads it, before others' sockets are seen to first
SILENCE_SECONDS = 30  # without any frame it is pinged, without a heartbeat that is due it is dead
PONG_SECONDS = 10
STALL_SECONDS = 5  # without any frame, where some come each second: an exchange may leave some out
ACK_SECONDS = 5
QUIET_SECONDS = 10  # a confirmed subscription is taken for one although nothing came of it
SECONDS_BETWEEN_COMPLAINTS = 60
MESSAGE_SECONDS = 30  # for a message to be whole, once it has begun
MOST_CONTROLS, CONTROLS_SECONDS = 50_000, 10  # an exchange pings once in some seconds
FAILURES = (OSError, ValueError)
PORTS = {"wss": 443, "ws": 80}
PHRASES = {each.value: each.phrase for each in HTTPStatus}
# Why a frame can't be read, by what its reader met; the first that fits.
REASONS: dict[str, tuple[type[Exception], ...]] = {
    "not_json": (json.JSONDecodeError,),
    "missing_field": (LookupError,),
    "wrong_type": (TypeError, AttributeError),
    "bad_value": (Exception,),
}


class Connection:
    """One socket from connecting, in a thread of its own, to its end; it never connects twice.

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
        reader: Reader | None = None,
        wake: Callable[[], None] = lambda: None,
        address: str = "",
    ):
        """`refused` are those of the topics that the exchange is known to refuse.

        `reader` reads it once it is connected; None: one of its own. `wake` is called, in the
        reader's thread, where a frame came that may close a bar. All topics are streamed at the
        `address`, "" for that of the stream.
        """
        self._stream = stream
        self.address = address or stream.url
        self._reader = reader or Reader()
        self._websocket: WebSocket | None = None
        self.session: StreamSession = stream.session(self.address)
        self._subscriptions = Subscriptions(
            *(self.session, topics, refused, stream.market_in, ACK_SECONDS),
            stream.limits.messages_per_second,
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
        self._read_at, self._has_lost = inf, False  # when frames were read last
        self._pinged_at: float | None = None
        self._next_ping_at = inf  # of the exchange's own kind
        self._has_just_pinged = False  # and sent nothing else since
        self._half_at = self._controls_at = self._frame_at  # since when a message lacks its end
        self._controls = 0  # how many frames without data had come then
        self._complained_at = -inf

    def start(self) -> None:
        threading.Thread(target=self._begin, name="connecting", daemon=True).start()

    def close(self) -> None:
        """End it; returns at once."""
        self._stopping.set()
        self._reader.wake()

    def join(self, seconds: float) -> None:
        self.ended.wait(seconds)

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

    def read(self, *, nameless: bool = False, most: int = EVERY) -> list[Event]:
        """Return what came since the last call, in order, of no more than `most` frames.

        `nameless` leaves those frames of which only the newest counts for later.
        """
        events: list[Event] = []
        parse = self.session.parse
        now, is_full, answered = time.monotonic(), self.inbox.is_full, self.session.answered
        with self._sending:  # the session is for one thread at a time
            frames = self.inbox.take_nameless() if nameless else self.inbox.take(most)
            if frames:
                self._note_stall(now)
            for frame in frames:
                try:
                    if len(frame) > MOST_READ_BYTES:
                        raise BadPayload(f"a frame of {len(frame):,} bytes, which none has")
                    events += parse(frame)
                except BadPayload as error:
                    self._lose(frame)
                    self.malformed += 1
                    self._refused[_reason(error)] += 1
                    self._complain("malformed", error)
            refusals: list[Refused] = []
            if self.session.answered > answered:
                refusals = [event for event in events if isinstance(event, Refused)]
            try:
                self._subscriptions.check(now, refusals)
            except Unreachable as error:
                self.end(str(error))
            self._note_life(now, len(events) > len(refusals))
            has_message = self._subscriptions.has_message(now)
        if has_message or is_full:
            self._reader.wake()
        for refusal in refusals:
            self._complain("refused", refusal.reason)
        return events

    def has_lost(self) -> bool:
        """Tell whether frames could not be read, or may be missing, since the last call."""
        lost, self._has_lost = self._has_lost, False
        return lost

    def _lose(self, frame: bytes) -> None:
        self.session.lost_frame(frame)
        self._has_lost = True

    def _note_stall(self, now: float) -> None:
        """Learn that frames came; after a while without any nobody knows whether all did."""
        if now - self._read_at > STALL_SECONDS:
            self._lose(b"")
        self._read_at = now

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
        self._reader.wake()

    def remove(self, topics: Iterable[Topic]) -> None:
        """Unsubscribe some."""
        with self._sending:
            self._subscriptions.remove(topics)
        self._reader.wake()

    def again(self, topics: Iterable[Topic]) -> None:
        """Subscribe anew what has fallen silent, unless an hour's messages are running out."""
        if self._pace.is_scarce(time.monotonic()):
            return
        with self._sending:
            self._subscriptions.again(topics)
        self._reader.wake()

    def retry(self) -> None:
        """Ask once more for what was given up."""
        with self._sending:
            self._subscriptions.retry()
        self._reader.wake()

    def question(self) -> None:
        """Ask the exchange what it believes to be subscribed; what is not is asked for again."""
        with self._sending:
            self._subscriptions.question()
        self._reader.wake()

    def end(self, reason: str) -> None:
        """End it for a reason that is told; returns at once."""
        if not self.ended.is_set():
            self.reason = reason
        self.close()

    # -- What the reader calls, in its thread

    def fileno(self) -> int:
        return self._open_websocket.sock.fileno()

    @property
    def awaits(self) -> int:
        # Where who reads the inbox is slower, the exchange has to wait.
        reads = 0 if self.inbox.is_full else READ
        return reads | (WRITE if self._open_websocket.is_sending else 0)

    def ready(self, events: int) -> None:
        websocket = self._open_websocket
        if events & WRITE:
            websocket.flush()
        if not events & READ:
            return
        controls, messages = websocket.controls, websocket.receive()
        if messages:
            self._frame_at = self._data_at = time.monotonic()
            self.inbox.put(messages)
        elif websocket.controls > controls:
            self._frame_at = time.monotonic()
        if websocket.controls - self._controls > MOST_CONTROLS:
            raise Excessive(
                f"the exchange sent more than {MOST_CONTROLS:,} pings in {CONTROLS_SECONDS} s"
            )
        if websocket.fault:
            raise websocket.fault

    def look(self, now: float) -> float | None:
        if self._stopping.is_set():
            return None
        next_at = now + min(LOOK_SECONDS, self._send(now))
        self._open_websocket.check_sent(now)
        self._look_for_life(self._open_websocket, now)
        return next_at

    def over(self, error: Exception | None) -> None:
        try:
            self._pace.leave(self)
            self._open_websocket.close()
        finally:
            self._end(error)

    # -- From connecting to its end

    def _begin(self) -> None:
        try:
            sock = _open(self.address, self._stream.route)
            try:
                begun = shake_hands(sock, self.address, CONNECT_SECONDS, PHRASES)
            except BaseException:
                sock.close()
                raise
        except Exception as error:
            self._end(error, "cannot connect: ")
            return
        self._websocket = WebSocket(sock, begun)
        self._frame_at = self._data_at = self._half_at = self._controls_at = time.monotonic()
        self._next_ping_at = self._frame_at + (self._stream.limits.ping_seconds or inf)
        self.accepted.set()
        self._reader.add(self)

    def _end(self, error: Exception | None, doing: str = "") -> None:
        if error is None:
            self.reason = self.reason or "closed by us"
        elif isinstance(error, LivermoreError):
            self.reason = f"{doing}{error}"
        elif isinstance(error, FAILURES):
            self.reason = doing + (clip(str(error)) or type(error).__name__)
        else:
            self.reason = "a fault of ours, see the log"
            logger.error("connection.died url=%s", self.address, exc_info=error)
        self.ended.set()

    @property
    def _open_websocket(self) -> WebSocket:
        assert self._websocket is not None  # it is read once it is open
        return self._websocket

    def _look_for_life(self, websocket: WebSocket, now: float) -> None:
        """Ping where nothing comes. Whether what is due comes is the owner's to know.

        What comes is a whole message, or a whole control frame, and of these not too many.
        """
        if self.inbox.is_full:
            self._frame_at = self._data_at = now
        if not websocket.is_within or self._data_at > self._half_at:
            self._half_at = now
        elif now - self._half_at > MESSAGE_SECONDS:
            raise Excessive(f"a message was not whole after {MESSAGE_SECONDS} s")
        if now - self._controls_at > CONTROLS_SECONDS:
            self._controls_at, self._controls = now, websocket.controls
        if self.session.has_heartbeats and now - self._data_at > SILENCE_SECONDS:
            raise Unreachable(f"no data for {SILENCE_SECONDS} s, not even a heartbeat")
        silence = now - self._frame_at
        if silence <= SILENCE_SECONDS:
            self._pinged_at = None
        elif self._pinged_at is None:
            if not self._pace.wait(self, now, counts=False):
                websocket.ping()
                self._pinged_at = now
        elif now - self._pinged_at > PONG_SECONDS:
            raise Unreachable(f"no sign of life for {silence:.0f} s, no answer to a ping either")

    def _send(self, now: float) -> float:
        """Send what may be sent now; return in how many seconds there may be more."""
        has_message = self._subscriptions.has_message(now)
        # First, as what is to be subscribed may be much; but not twice before that, if it may go.
        gives_way = has_message and self._has_just_pinged and not self._pace.is_used_up(now)
        pings = now >= self._next_ping_at and not gives_way
        if not (pings or has_message):
            self._pace.leave(self)
            # Or earlier, where `read` finds that there is one.
            return min(LOOK_SECONDS, self._next_ping_at - now)
        if seconds := self._pace.wait(self, now, counts=not pings):
            return seconds
        if not self._sending.acquire(timeout=BUSY_SECONDS):
            return BUSY_SECONDS
        try:
            self._has_just_pinged = pings
            if pings:
                self._ping(now)
            elif self._subscriptions.has_message(now):
                self._open_websocket.send(self._subscriptions.next_message(now))
        finally:
            self._sending.release()
        return 0.0

    def _ping(self, now: float) -> None:
        """Send the exchange's own kind of ping."""
        self._next_ping_at = now + (self._stream.limits.ping_seconds or inf)
        if message := self.session.ping():
            self._open_websocket.send(message)

    def _complain(self, what: str, text: object) -> None:
        if time.monotonic() - self._complained_at > SECONDS_BETWEEN_COMPLAINTS:
            self._complained_at = time.monotonic()
            logger.warning(
                "connection.%s url=%s malformed=%d text=%s",
                *(what, self.address, self.malformed, clip(str(text))),
            )


def _open(address: str, route: Route) -> sockets.socket:
    parts = urlsplit(address)
    if not parts.hostname or parts.scheme not in PORTS:
        raise ValueError(f"{clip(address)} is no address of a WebSocket")
    port = parts.port or PORTS[parts.scheme]
    encrypted = parts.scheme == "wss"
    return route.open(parts.hostname, port, CONNECT_SECONDS, encrypted=encrypted)


def _reason(error: BadPayload) -> str:
    cause = error.__cause__ or error
    return next(name for name, kinds in REASONS.items() if isinstance(cause, kinds))
