"""Messages of a WebSocket out of the bytes that come (RFC 6455, 5); there is no socket here."""

from exchanges.errors import Excessive, LivermoreError, Unreachable
from exchanges.rest.response_limits import is_dense

MOST_BYTES = 12_000_000  # of a message that leaves the connection as it is
MOST_READ_BYTES = 4_000_000  # of one that is looked into: all tickers at once are half a megabyte
MOST_FRAGMENTS = 10_000
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
OPCODES = {CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG}
FIN, RESERVED, OPCODE, MASKED = 0x80, 0x70, 0x0F, 0x80
WHOLE_TEXT = FIN | TEXT
TWO_BYTES_FOLLOW, EIGHT_BYTES_FOLLOW = 126, 127
LONGEST_CONTROL = 125


Message = tuple[int, bytes]  # an opcode, and the payload, of fragments all of it


class Frames:
    """Takes bytes as they come and returns what is whole; what is refused stays in `fault`.

    A frame that says it is too long is refused by its head, before room is made for it.
    """

    def __init__(self, most_bytes: int = MOST_BYTES):
        self.fault: LivermoreError | None = None
        self._most_bytes = most_bytes
        self._buffer = bytearray()
        self._needed = 0  # bytes of the buffer before anything in it can be whole
        self._message = bytearray()  # the fragments so far
        self._fragments = 0
        self._opcode: int | None = None  # of the message that is fragmented

    @property
    def is_within(self) -> bool:
        """Tell whether a part of a message or of a control frame is here, and not all of it."""
        return bool(self._buffer) or self._opcode is not None

    def feed(self, octets: bytes) -> list[Message]:
        """Return the messages and control frames that these bytes complete, in order."""
        self._buffer += octets
        found: list[Message] = []
        if len(self._buffer) < self._needed or self.fault:
            return found
        data, at = bytes(self._buffer), 0
        try:
            if self._opcode is None:
                at = _take_texts(data, found)
            while (whole := self._frame_at(data, at)) is not None:
                begins, ends = whole
                added = self._add(data[at], data[begins:ends])
                at = ends
                self._refuse_dense(added)
                found += added
        except LivermoreError as error:
            self.fault = error
        del self._buffer[:at]
        self._needed -= at
        return found

    def _frame_at(self, data: bytes, at: int) -> tuple[int, int] | None:
        """Return where the payload of the next frame begins and ends, None if it is not whole."""
        self._needed = at + 2
        if len(data) < self._needed:
            return None
        size, begins = data[at + 1], at + 2
        if data[at] != WHOLE_TEXT:
            self._check(data[at], size)
        if size >= TWO_BYTES_FOLLOW:
            if size & MASKED:
                raise _broken("masked, as no server may send it")
            begins += 2 if size == TWO_BYTES_FOLLOW else 8
            self._needed = begins
            if len(data) < begins:
                return None
            size = int.from_bytes(data[at + 2 : begins])
        if size + len(self._message) > self._most_bytes:
            kind = "frame" if not self._message else "message in pieces"
            raise Excessive(
                f"the exchange sent a {kind} of {size + len(self._message):,} bytes, and more than "
                f"{self._most_bytes:,} are not read"
            )
        self._needed = begins + size
        return None if len(data) < self._needed else (begins, self._needed)

    def _check(self, first: int, size: int) -> None:
        opcode = first & OPCODE
        if first & RESERVED:
            raise _broken("compressed, which was not agreed on")
        if opcode not in OPCODES:
            raise _broken("of no known kind")
        if opcode >= CLOSE and (size > LONGEST_CONTROL or not first & FIN):
            raise _broken("for control that is too long or in pieces")

    def _add(self, first: int, payload: bytes) -> list[Message]:
        opcode = first & OPCODE
        if opcode >= CLOSE:
            return [(opcode, payload)]
        if (opcode == CONTINUATION) != (self._opcode is not None):
            raise _broken("that begins or continues a message out of turn")
        if first & FIN and self._opcode is None:
            return [(opcode, payload)]  # in one piece, as nearly all are: not copied again
        if self._opcode is None:
            self._opcode = opcode
        self._message += payload
        self._fragments += 1
        if self._fragments > MOST_FRAGMENTS:
            raise Excessive(f"the exchange sent a message in more than {MOST_FRAGMENTS:,} pieces")
        if not first & FIN:
            return []
        whole = (self._opcode, bytes(self._message))
        self._message, self._opcode, self._fragments = bytearray(), None, 0
        return [whole]

    def _refuse_dense(self, added: list[Message]) -> None:
        if added and is_dense(added[-1][1], min(self._most_bytes, MOST_READ_BYTES)):
            raise Excessive("the exchange sent a message of far too many values of JSON")


def _take_texts(data: bytes, found: list[Message]) -> int:
    """Add the short, whole texts that data begins with; return where something else begins.

    They are nearly all of a stream.
    """
    at = 0
    while at + 4 <= len(data) and data[at] == WHOLE_TEXT:
        size, begins = data[at + 1], at + 2
        if size == TWO_BYTES_FOLLOW:
            size, begins = data[at + 2] << 8 | data[at + 3], at + 4
        elif size > TWO_BYTES_FOLLOW:
            break
        ends = begins + size
        if ends > len(data):
            break
        found.append((TEXT, data[begins:ends]))
        at = ends
    return at


def _broken(what: str) -> Unreachable:
    return Unreachable(f"the exchange sent a frame {what}")
