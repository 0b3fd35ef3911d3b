"""How much of an answer is read over HTTP, and for how long: whoever sends more is not read on.

What is counted is what comes out of the socket (head, lengths of chunks, trailers and all) and what
gzip makes of it, in pieces, before it is kept. The time is that of the whole call.
"""

import io
import json
import math
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, NoReturn

import orjson

from exchanges.errors import Excessive, clip

PIECE_BYTES = 65_536
HEAD_BYTES = 262_144  # of status and headers; of chunks' lengths and trailers, what is left
SHORT_BYTES = 2_000_000  # of all but a listing: a thousand candles are 200 kB
ERROR_BYTES, ERROR_SECONDS = 65_536, 5.0  # of a body whose status says already what it is
BYTES_PER_VALUE = 16  # a value of JSON takes more than that, some hundred times over
BYTES_PER_FIELD, BYTES_PER_OBJECT = 40, 80  # these take more still, and real answers have fewer
MOST_MEMBERS = 64  # of gzip, one after the other
LONGEST_WHOLE = 1000  # digits
ENCODING = "gzip"
GZIP = 16 + zlib.MAX_WBITS  # zlib's word for it


@dataclass(frozen=True, slots=True)
class ResponseLimits:
    """The most that one call to an exchange may bring, after decompression, and take."""

    megabytes: int = 32  # the longest known listing, of 3,400 symbols, has 15
    seconds: float = 60.0


class UnreadableEncoding(OSError):
    """An answer whose encoding can't be read."""


class TooManyMembers(Exception):
    """Gzip that only makes work."""


class ResponseBudget:
    """What one call may still read, and until when; `what` it is for is told in what is raised.

    `pause_seconds` is how long nothing at all may come.
    """

    def __init__(self, what: str, most_bytes: int, seconds: float, pause_seconds: float):
        self._what = what
        self._most_bytes = most_bytes
        self._left_bytes: float = math.inf
        self._seconds = seconds
        self._pause_seconds = pause_seconds
        self._ends_at = time.monotonic() + seconds
        self._limit = f"had a head longer than {_size(HEAD_BYTES)}"
        self._socket_bytes = HEAD_BYTES

    @contextmanager
    def granted(self) -> Iterator[None]:
        """Let the connections that this thread uses go by it."""
        token = _granted.set(self)
        try:
            yield
        finally:
            _granted.reset(token)

    def seconds_left(self, most: float = math.inf) -> float:
        """Return for how long the next step may wait. Raises Excessive where the time is over."""
        left = self._ends_at - time.monotonic()
        if left <= 0:
            raise self.refusal(f"was not whole after {self._seconds:g} s")
        return min(left, most)

    def pause(self) -> float:
        """Return for how long nothing may come now. Raises Excessive where the time is over."""
        return self.seconds_left(self._pause_seconds)

    def count(self, octets: int) -> None:
        """Count what came out of the socket. Raises Excessive where that is too much."""
        self._socket_bytes -= octets
        if self._socket_bytes < 0:
            raise self.refusal(self._limit)

    def share(self, octets: int, seconds: float) -> None:
        """Read no more than what the answers before this one left of the same budget."""
        self._left_bytes = octets
        self._ends_at = min(self._ends_at, time.monotonic() + seconds)

    def expect_refusal(self) -> None:
        """Read little from now on, as the status says already what the answer is."""
        self._most_bytes = min(self._most_bytes, ERROR_BYTES)
        self._ends_at = min(self._ends_at, time.monotonic() + ERROR_SECONDS)

    def read(
        self,
        reply: Any,
        found: bytearray,
        *,
        is_json: bool = True,
        piece_bytes: int = PIECE_BYTES,
    ) -> None:
        """Add the body of an answer of urllib3, unpacked, to `found`; free its connection.

        Raises Excessive, also for JSON of far more values than its length is worth;
        UnreadableEncoding where it can't be unpacked; what the connection says.
        """
        self._limit = f"was longer than {_size(self._most_bytes)}"
        self._socket_bytes += self._most_bytes
        try:
            for piece in _unpacked(self._pieces(reply, piece_bytes), reply.headers):
                found += piece
                if len(found) > self._most_bytes:
                    raise self.refusal(self._limit)
                if len(found) > self._left_bytes:
                    whole = _size(self._most_bytes)
                    raise self.refusal(f"and those before it were longer than {whole} in all")
        except zlib.error as error:
            raise UnreadableEncoding(f"its gzip can't be read ({clip(str(error))})") from error
        except TooManyMembers:
            raise self.refusal(f"had more than {MOST_MEMBERS} members of gzip") from None
        finally:
            reply.close()  # the connection too, but for one whose answer was read to its end
            reply.release_conn()
        if is_json and is_dense(found, self._most_bytes):
            raise self.refusal("held far too many values of JSON")

    def refusal(self, what: str) -> Excessive:
        """Return what is raised where an answer `what`."""
        return Excessive(f"{self._what}: the answer {what}, and was not read on")

    def _pieces(self, reply: Any, octets: int) -> Iterator[bytes]:
        while piece := reply.read(octets, decode_content=False):
            self.seconds_left()
            yield piece


_granted: ContextVar[ResponseBudget] = ContextVar("granted")


def granted() -> ResponseBudget:
    """Return what the call under way in this thread may take."""
    return _granted.get()


class Metered(io.RawIOBase):
    """What comes out of a socket: no byte that the budget of the call doesn't cover."""

    def __init__(self, sock, raw: io.RawIOBase):
        self._sock = sock
        self._raw = raw

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int | None:
        allowed = granted()
        self._sock.settimeout(allowed.pause())
        try:
            count = self._raw.readinto(buffer)
        except TimeoutError:
            allowed.seconds_left()  # whichever of the two was over
            raise
        allowed.count(count or 0)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


def is_dense(content: bytes | bytearray, most_bytes: int) -> bool:
    """Tell whether JSON holds so many values that it would take far more memory than it is long."""
    if len(content) <= PIECE_BYTES:
        return False
    nested, fields = content.count(b"[") + content.count(b"{"), content.count(b":")
    return (
        nested > most_bytes // BYTES_PER_OBJECT
        or fields > most_bytes // BYTES_PER_FIELD
        or nested + content.count(b",") > most_bytes // BYTES_PER_VALUE
    )


def parse(content: bytes) -> Any:
    """Return what JSON says. Raises ValueError for what is none.

    A number that is too large for a computer's own spoils the place where it stands, not all.
    """
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as error:
        if "number" not in str(error):
            raise ValueError(str(error)) from None
    try:
        return json.loads(content, parse_int=_whole, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) <= LONGEST_WHOLE else math.inf


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _unpacked(pieces: Iterator[bytes], headers: Mapping[str, str]) -> Iterator[bytes]:
    """Return what was packed, in pieces that are small however much a packed one holds."""
    encoding = headers.get("Content-Encoding", "").strip().lower()
    if encoding in ("", "identity"):
        return pieces
    if encoding not in (ENCODING, f"x-{ENCODING}"):
        raise UnreadableEncoding("it came in an encoding that was not asked for")
    return _gunzipped(pieces)


def _gunzipped(pieces: Iterator[bytes]) -> Iterator[bytes]:
    member, members, is_empty = zlib.decompressobj(GZIP), 1, True
    for packed in pieces:
        while packed:
            if member.eof:
                packed = packed.lstrip(b"\0")
                if not packed:
                    break
                member, members = zlib.decompressobj(GZIP), members + 1
                if members > MOST_MEMBERS:
                    raise TooManyMembers
            is_empty = False
            yield member.decompress(packed, PIECE_BYTES)
            packed = member.unused_data if member.eof else member.unconsumed_tail
    if not is_empty and not member.eof:
        raise UnreadableEncoding("its gzip ends too early")


def _size(octets: int) -> str:
    return f"{octets / 1e6:g} MB" if octets >= 1e6 else f"{octets / 1e3:g} kB"
