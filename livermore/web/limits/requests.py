"""What the web server takes from whoever comes: how much, for how long, of how many at a time.

Daphne keeps a request's whole body in a temporary file before anybody is asked, and each byte that
comes begins its timeout anew. So these limits are kept below it, where bytes arrive.
"""

import io
import logging
import resource
from dataclasses import dataclass

from daphne import server
from daphne.http_protocol import HTTPFactory, WebRequest
from twisted.internet import reactor, tcp
from twisted.internet.error import ConnectionAborted
from twisted.python.failure import Failure
from twisted.web import http

from livermore.web.limits.answers import AnswerProducer, UnreadConnections
from livermore.web.limits.sockets import LimitedWebSocketFactory

logger = logging.getLogger(__name__)

BODY_BYTES = 1024 * 1024
BODIES_BYTES = 64 * BODY_BYTES  # of all requests that are coming in
HEAD_BYTES = 16 * 1024
HEADERS = 100
CONTENT_TYPE_BYTES = 1000
CONNECTIONS = 4096
SPARE_DESCRIPTORS = 256  # for Redis, the database and files
LINGER_SECONDS = 5.0  # in which who was refused may end what it sends, to read why
SECONDS_BETWEEN_COMPLAINTS = 60.0
BUSY, IDLE, HEAD, BODY, REFUSED = "busy", "idle", "head", "body", "refused"

GUARDS = (
    "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n"
    "X-Content-Type-Options: nosniff\r\n"
)
SENTENCES = {
    400: "This is not a request that can be read.",
    408: "The request took too long to come.",
    413: f"A request's body has at most {BODY_BYTES} bytes here.",
    431: f"A request has at most {HEADERS} headers here, of {HEAD_BYTES} bytes in all.",
    503: "Too much is being sent at this moment: try again.",
}


@dataclass(frozen=True)
class Timeouts:
    """For how many seconds a connection may do the same, whatever comes meanwhile."""

    head: float = 10.0  # from the connection, or the request's first byte, to the last header
    body: float = 20.0  # from there to the body's end
    idle: float = 60.0  # from an answer to the next request
    answer: float = 60.0  # in which nothing of an answer is taken


TIMEOUTS = Timeouts()


def limit_daphne() -> None:
    """Let every server of daphne's that begins in this process keep the limits."""
    server.HTTPFactory = LimitedHTTPFactory
    server.WebSocketFactory = LimitedWebSocketFactory
    server.Server.handle_reply = _reply


_reply_at_once = server.Server.handle_reply


async def _reply(self, protocol, message):
    """Pass on a part of an answer, and let whoever makes it wait until there is room for more."""
    await _reply_at_once(self, protocol, message)
    if isinstance(protocol, LimitedRequest):
        await protocol.room()


class LimitedRequest(WebRequest):
    """A request whose body is kept in memory, as far as there may be one."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._parsePOSTFormSubmission = False  # Django does
        self._bytes = 0

    def gotLength(self, length):
        self.content = io.BytesIO()

    def handleContentChunk(self, data):
        if self.content.closed:
            return
        self._bytes += len(data)
        self.channel.factory.body_bytes += len(data)
        if self._bytes > BODY_BYTES:
            self.channel.refuse(413)
        elif self.channel.factory.body_bytes > BODIES_BYTES:
            self.channel.refuse(503)
        else:
            self.content.write(data)

    def requestReceived(self, command, path, version):
        self._forget_body()
        super().requestReceived(command, path, version)

    def process(self):
        # Where it stands below another path is for whoever runs it to say, not for who comes.
        self.requestHeaders.removeHeader(b"Daphne-Root-Path")
        if not self._is_readable():
            self.channel.refuse(400)
            return None
        return super().process()

    def basic_error(self, status, status_text, body):
        if status == 400 and not self._response_started:
            self.channel.refuse(400)
        else:
            super().basic_error(status, status_text, body)

    async def room(self):
        """Wait until the client has read most of what was answered."""
        if answers := self._answers():
            await answers.room()

    def check_timeouts(self):
        answers = self._answers() if self._response_started else None
        if answers and (answers.bytes or answers.seconds_still() < self.server.http_timeout):
            return  # one that has begun may be read slowly
        super().check_timeouts()

    def _answers(self):
        channel = getattr(self, "channel", None)  # gone when the answer is whole
        return channel and channel.answers

    def drop(self):
        """Forget what has come of it."""
        self._forget_body()
        if self.content:
            self.content.close()

    def connectionLost(self, reason):
        self._forget_body()
        super().connectionLost(reason)

    def _forget_body(self):
        if self.channel:
            self.channel.factory.body_bytes -= self._bytes
        self._bytes = 0

    def _is_readable(self):
        """Tell whether daphne and Django can read those headers that they read first."""
        names = (b"X-Forwarded-For", b"X-Forwarded-Port", b"X-Forwarded-Proto")
        values = [v for name in names for v in self.requestHeaders.getRawHeaders(name, ())]
        values += self.requestHeaders.getRawHeaders(b"Sec-WebSocket-Protocol", ())
        types = self.requestHeaders.getRawHeaders(b"Content-Type", ())
        return all(map(bytes.isascii, values)) and sum(map(len, types)) <= CONTENT_TYPE_BYTES


class LimitedChannel(http.HTTPChannel):
    """A connection that has to be done with each thing in time."""

    maxHeaders = HEADERS
    totalHeadersSize = HEAD_BYTES
    MAX_LENGTH = HEAD_BYTES

    _phase = HEAD
    _deadline = None
    _head_bytes = 0
    _has_begun = False
    _answered = None  # a request whose answer is not read yet
    answers = None

    def connectionMade(self):
        super().connectionMade()
        self.answers = AnswerProducer(
            self.transport,
            self.factory.unread,
            TIMEOUTS.answer,
            on_move=self._waits_to_be_read,
            on_read=self._was_read,
        )
        self.factory.admit(self)
        self._begin(HEAD, TIMEOUTS.head)

    def dataReceived(self, data):
        if self._phase == REFUSED:
            return
        if self._phase == IDLE:
            self._begin(HEAD, TIMEOUTS.head)
        self._has_begun = True
        super().dataReceived(data)

    def lineReceived(self, line):
        self._head_bytes += len(line) + 2
        if self._head_bytes > HEAD_BYTES:
            self.refuse(431)
        else:
            super().lineReceived(line)
        return self._phase == REFUSED or None  # what is left of it isn't looked at then

    def lineLengthExceeded(self, line):
        self.refuse(431)

    def headerReceived(self, line):
        if self._receivedHeaderCount >= HEADERS:
            self.refuse(431)
            return False
        try:
            return super().headerReceived(line)
        except ValueError:  # a length of more digits than Python reads
            self.refuse(400)
            return False

    def allHeadersReceived(self):
        if self.length is not None and self.length > BODY_BYTES:
            self.refuse(413)
        if self._phase == REFUSED:
            return
        super().allHeadersReceived()
        if self.length != 0:
            self._begin(BODY, TIMEOUTS.body)

    def rawDataReceived(self, data):
        if self._phase != REFUSED:
            super().rawDataReceived(data)

    def allContentReceived(self):
        if self._phase == REFUSED:
            return
        self._head_bytes = 0
        self._begin(BUSY)
        super().allContentReceived()

    def write(self, data):
        self.writeSequence((data,))

    def writeSequence(self, pieces):
        for piece in pieces:
            self.answers.write(piece)
        self._waits_to_be_read()

    def writeHeaders(self, version, code, reason, headers):
        super().writeHeaders(version, code, reason, headers)
        lines = headers.getAllRawHeaders()
        self.answers.note_given(sum(len(n) + len(v) + 4 for n, values in lines for v in values))

    def _waits_to_be_read(self):
        if self._phase == BUSY and self.answers.bytes:
            self.factory.note(self, waits=True)

    def _was_read(self):
        request, self._answered = self._answered, None
        if request:
            self.requestDone(request)
        elif self._phase == BUSY:
            self.factory.note(self, waits=False)

    def requestDone(self, request):
        if self.answers.bytes:  # no other request is begun before these are read
            self._answered = request
            return
        self._has_begun = False
        self._begin(IDLE, TIMEOUTS.idle)
        super().requestDone(request)  # the next one may have come already

    def connectionLost(self, reason):
        self._stop_clock()
        self.factory.forget(self.transport)
        if self._answered:
            self.requests.remove(self._answered)  # it has ended already
        super().connectionLost(reason)

    def refuse(self, status):
        """Say why in a line, and take nothing any more."""
        if self._phase == REFUSED:
            return
        self._begin(REFUSED, LINGER_SECONDS)
        logger.debug("web.refused status=%d client=%s", status, self.transport.getPeer())
        for request in self.requests:
            request.drop()
        self.clearLineBuffer()
        self.transport.write(_answer(status))
        self._networkProducer.unregisterProducer()
        self._networkProducer.resumeProducing()
        # Closed at once while something comes, the connection would be reset, and this unread.
        self.transport.loseWriteConnection()

    def _respondToBadRequestAndDisconnect(self):
        self.refuse(400)

    def _begin(self, phase, seconds=None):
        self._stop_clock()
        self._phase = phase
        self.factory.note(self, waits=phase != BUSY)
        if seconds is not None:
            self._deadline = reactor.callLater(seconds, self._end)

    def _stop_clock(self):
        if self._deadline and self._deadline.active():
            self._deadline.cancel()
        self._deadline = None

    def _end(self):
        """Close it: its time is over."""
        if self._phase == REFUSED:
            self.transport.abortConnection()
            return
        client = self.transport.getPeer()
        logger.debug("web.timed_out waiting_for=%s client=%s", self._phase, client)
        if self._has_begun:
            self.transport.write(_answer(408))
        self.timeoutConnection()  # aborts it, where what was written isn't read


class LimitedHTTPFactory(HTTPFactory):
    """All connections: no more than descriptors are there for."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.timeOut = None  # Twisted's begins anew with each byte
        self.body_bytes = 0
        self.unread = UnreadConnections()
        self._open = set()  # transports, WebSockets' too
        self._waiting = {}  # transports that send or are silent, the longest first: channels
        self._most = CONNECTIONS
        self._complain_at = 0.0

    def protocol(self):
        return LimitedChannel()

    def startFactory(self):
        super().startFactory()
        self._most = min(CONNECTIONS, connections_allowed(raised_descriptors()))

    def buildProtocol(self, addr):
        protocol = super().buildProtocol(addr)
        protocol.requestFactory = LimitedRequest
        return protocol

    def admit(self, channel):
        """Take in a connection, and close another one where there are too many."""
        self._open.add(channel.transport)
        self._waiting[channel.transport] = channel
        if len(self._open) > self._most:
            self._complain()
            longest = next(iter(self._waiting))
            self.forget(longest)
            _close(longest)

    def note(self, channel, *, waits):
        """Learn that a connection began something else."""
        self._waiting.pop(channel.transport, None)
        if waits and channel.transport in self._open:
            self._waiting[channel.transport] = channel

    def forget(self, transport):
        """Learn that a connection is gone, a WebSocket's too."""
        self._open.discard(transport)
        self._waiting.pop(transport, None)

    def _complain(self):
        now = reactor.seconds()
        if now >= self._complain_at:
            logger.warning("web.crowded connections=%d", self._most)
            self._complain_at = now + SECONDS_BETWEEN_COMPLAINTS


def raised_descriptors() -> int:
    """Let this process open as many files as it may, and return how many that is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS + SPARE_DESCRIPTORS
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        soft = most
    return wanted if soft == resource.RLIM_INFINITY else soft


def connections_allowed(descriptors: int) -> int:
    """Return how many connections leave enough descriptors for all else."""
    return max(descriptors - SPARE_DESCRIPTORS, descriptors // 2)


def _close(transport) -> None:
    """Close a connection before the next one is taken in.

    What is only aborted keeps its descriptor until the reactor comes to it, and hundreds of others
    may be accepted before: those that found no descriptor then were closed, the newest ones.
    """
    transport.abortConnection()
    if isinstance(transport, tcp.Connection):
        transport.connectionLost(Failure(ConnectionAborted()))  # a second time it does nothing


def _answer(status: int) -> bytes:
    reason = http.RESPONSES[status].decode() if status in http.RESPONSES else "Refused"
    text = f"{SENTENCES[status]}\n"
    head = f"HTTP/1.1 {status} {reason}\r\nContent-Type: text/plain; charset=utf-8\r\n{GUARDS}"
    again = "Retry-After: 5\r\n" if status == 503 else ""
    return f"{head}{again}Content-Length: {len(text)}\r\nConnection: close\r\n\r\n{text}".encode()
