"""What can go wrong with an exchange, named by what the caller does next.

LivermoreError
├── Temporary              wait, then try again
│   ├── RateLimited        .retry_after_seconds
│   │   └── Paused         for too long to sit it out; stop, and come back then
│   ├── Banned             .until_ms; stop every request to this host
│   ├── KeptWaiting        by our own pacing: others of us had the turns
│   ├── TurnedAway         by a firewall's page, HTTP 403; waited out for minutes
│   ├── Excessive          more bytes or seconds than an answer may take; not at once again
│   └── Unreachable        timeout, refused, reset, HTTP 5xx, a reply cut short
│       └── ProxyFailed    the row's proxy did not lead there
└── Permanent              do not retry
    ├── NotDone            by somebody else who was asked to; .retry_after_seconds
    ├── BadCredentials     tell a person
    │   └── Unauthorized   HTTP 401: a good key, too, is refused now and then
    ├── Misconfigured      a setting or row that can't be used; tell a person
    ├── UnknownSymbol      drop the symbol, tell a person
    ├── Blocked            HTTP 451, or a 403 that says so: this address may not call
    │   └── Misled         the host's name leads into a private network
    └── BadPayload         count it, skip it; keeps a clipped copy of the text
"""

import math
import time
from datetime import UTC, datetime
from typing import Any

CLIP = 200  # characters of what somebody else wrote
CLIP_OURS = 500  # of a message of ours that comes out of Redis: the longest say what to set


def one_line(text: str) -> str:
    """Return `text` on one line of printable characters, whatever somebody else wrote into it."""
    line = " ".join(text.split())
    return "".join(character if character.isprintable() else "?" for character in line)


def clip(text: str | bytes, longest: int = CLIP) -> str:
    """Return the beginning of `text` on one line, fit for a message or a log.

    Only the beginning is looked at: of a text of megabytes all words would take a gigabyte.
    """
    beginning, is_all = text[: 4 * longest], len(text) <= 4 * longest
    if isinstance(beginning, bytes):
        beginning = beginning.decode("utf-8", "replace")
    line = one_line(beginning)
    if is_all and len(line) <= longest:
        return line
    return line[: longest - 1] + "…"


def told(value: object) -> str:
    """Return a word or number of an exchange's, clipped; of anything else only what it is."""
    if isinstance(value, str):
        return clip(value)
    is_short = isinstance(value, float) or (isinstance(value, int) and abs(value) < 2**63)
    return str(value) if is_short else shape_of(value)


def shape_of(value: object) -> str:
    """Return in a few words what somebody sent, and nothing of what is in it."""
    match value:
        case None:
            return "null"
        case bool() | int() | float():
            return "a number" if not isinstance(value, bool) else "true or false"
        case str() | bytes():
            return f"a text of {len(value)} characters"
        case list():
            return f"a list of {len(value)}"
        case dict():
            return f"an object of {len(value)} fields"
    return f"a {type(value).__name__}"


class LivermoreError(Exception):
    """Anything this project raises on purpose; its text is one line for a person.

    `reply` is, of a request that the exchange itself refused, the HTTP status and what it said,
    parsed: for a program that speaks its protocol.
    """

    reply: tuple[int, Any] | None = None


class Temporary(LivermoreError):
    """It may work later: wait, then try again."""


class RateLimited(Temporary):
    """The exchange asked us to slow down (HTTP 429).

    `retry_after_seconds` is what it asked for, None where it named no time.
    """

    def __init__(self, message: str, retry_after_seconds: float | None = None):
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class Paused(RateLimited):
    """The exchange asked for a pause too long to sit out: end, and come back after it."""


class Banned(Temporary):
    """The exchange refuses this address until `until_ms` (UTC epoch milliseconds)."""

    def __init__(self, host: str, until_ms: int):
        until = datetime.fromtimestamp(until_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        super().__init__(
            f"{host} banned this address until {until}; nothing is sent to it before. "
            "An agent goes on by itself then. Stop other programs that use it from here, and start "
            "no command before"
        )
        self.host = host
        self.until_ms = until_ms


class KeptWaiting(Temporary):
    """Our own pacing had no turn for a call in time: nothing was sent, and nothing is known."""

    def __init__(self, host: str, seconds: float):
        super().__init__(
            f"{host} was not asked for {seconds:g} s: other calls of ours had its turns, as our "
            "pacing lets no more go out"
        )


class TurnedAway(Temporary):
    """A firewall in front of the exchange answers in its place, with a page (HTTP 403).

    `seconds` is how long that was waited out, `lasts`: too long to wait any more. `begins`: the
    host had answered before.
    """

    def __init__(self, host: str, seconds: float, *, begins: bool = False, lasts: bool = True):
        super().__init__(
            f"{host} has turned this address away with a web page (HTTP 403), and pauses of "
            f"{seconds:.0f} s did not end that: a firewall in front of it, which mostly lets "
            "everybody in again by itself. Run this again in some minutes, and nothing meanwhile"
        )
        self.seconds = seconds
        self.begins = begins
        self.lasts = lasts


class Excessive(Temporary):
    """An answer that was longer, or took longer, than any that makes sense; the rest is not read.

    It costs the call or the connection on which it came, which is not tried again at once.
    """


class Unreachable(Temporary):
    """No usable answer: timeout, refused, reset, HTTP 5xx, a reply cut short.

    `fault` is what was found, without what to do about it.
    """

    def __init__(self, message: str, fault: str = ""):
        super().__init__(message)
        self.fault = fault or message


class ProxyFailed(Unreachable):
    """The row's proxy did not lead to a host: `fault` is what it did, `remedy` what to do."""

    def __init__(self, host: str, what: str, remedy: str):
        fault = f"{host} cannot be reached: {what}"
        super().__init__(f"{fault}. {remedy}", fault)
        self.remedy = remedy


class Permanent(LivermoreError):
    """Trying again will not help."""


class NotDone(Permanent):
    """Somebody else could not do it, who was asked to.

    `retry_after_seconds` is when it may be asked again, None where that is not known.
    """

    def __init__(self, message: str, retry_after_seconds: int | None = None):
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class BadCredentials(Permanent):
    """The exchange does not accept the key."""


class Unauthorized(BadCredentials):
    """The exchange does not take this call's proof of who calls (HTTP 401)."""


class Misconfigured(Permanent):
    """Something that this machine or the row was told can't be used: nothing is sent.

    `fault` is what was found, `remedy` what to do; the text is both.
    """

    def __init__(self, fault: str, remedy: str):
        super().__init__(f"{fault}: {remedy}")
        self.fault = fault
        self.remedy = remedy


class UnknownSymbol(Permanent):
    """The exchange does not know this symbol."""


class Blocked(Permanent):
    """The exchange refuses this address or region (HTTP 451, or a 403 that says so)."""


class Misled(Blocked):
    """A host that should be public leads to an address that is not: nothing is sent there.

    `fault` is what was found, `remedy` what to do.
    """

    def __init__(self, fault: str, remedy: str):
        super().__init__(f"{fault}. {remedy}")
        self.fault = fault
        self.remedy = remedy


class BadPayload(Permanent):
    """An answer that means nothing to us; the message ends in a clipped copy of it."""

    def __init__(self, message: str, text: str | bytes = ""):
        message = clip(message, CLIP_OURS)
        super().__init__(f"{message}: {clip(text)}" if text else message)


def seconds_to_wait(error: Exception) -> int | None:
    """Return in how many seconds to ask again after an error, None where nobody knows."""
    match error:
        case Banned():
            return max(1, error.until_ms // 1000 - int(time.time()))
        case RateLimited() | NotDone():
            return math.ceil(error.retry_after_seconds or 0) or None
    return None
