"""One message to one channel, by apprise; what came of it in words without the address."""

import logging
import re
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

from django.core.exceptions import ValidationError

from alerts.delivery.guarded import TOO_LONG, Connections, guarded
from alerts.models import LONGEST_FAULT, AlertChannel, Delivery
from alerts.signals.picture import picture_of
from alerts.variables import address_in
from exchanges.errors import clip
from livermore.observing.redaction import redacted

TITLE = "Livermore"
PICTURE = "chart.png"
LIBRARY = "apprise"
STATUS = re.compile(r"error=(\d{3})\b")  # as the library ends its lines of what was refused
BROKEN = "connection error"  # as it says that there was no answer
ANSWER_SECONDS = 30.0  # till when a receiver is to answer, which may be busy telling people
_call = threading.local()  # of this thread: what the library said of its message
UNKNOWN = "apprise knows no such address"
NOT_TAKEN = "the receiver did not take it"
KEY_HEADER = "Idempotency-Key"


class Outcome(NamedTuple):
    """Whether a message was taken; else why not, fit for anybody to see.

    What `may_have_arrived` was sent, all of it or some, and nobody said what came of it.
    """

    is_sent: bool
    fault: str = ""
    may_have_arrived: bool = False


def send(channel: AlertChannel, delivery: Delivery) -> Outcome:
    """Send a message. Never raises: what fails is said.

    A picture goes with the first try alone, in case it was that which a service did not take.
    """

    def draw() -> bytes | None:
        return picture_of(delivery.alert) if delivery.tries <= 1 and not delivery.is_end else None

    return tell(channel, delivery.text, f"livermore-{delivery.pk}", draw)


def tell(
    channel: AlertChannel,
    text: str,
    key: str = "",
    draw: Callable[[], bytes | None] = lambda: None,
) -> Outcome:
    """Send a text by a channel; a webhook gets `key`, by which it can tell a repetition.

    What `draw` returns, a PNG, goes with it where the service takes pictures.
    """
    address = address_in(channel.variable)
    if not address:
        return Outcome(False, f"{channel.variable} is not set where alerts are sent")
    try:
        service = service_at(address)
    except ValidationError as error:
        return Outcome(False, f"{channel.variable}: {error.messages[0]}")
    if key and isinstance(getattr(service, "headers", None), dict):
        service.headers[KEY_HEADER] = key
    picture = draw() if service.attachment_support else None
    _call.status, _call.is_broken = "", False
    with guarded() as connections:
        try:
            taken = bool(
                _box(service).notify(
                    body=text, title=TITLE, body_format="text", attach=_attached(picture)
                )
            )
        except Exception as error:  # any of a hundred services, each with faults of its own
            return Outcome(False, f"it could not be sent ({type(error).__name__})")
    if taken:
        return Outcome(True)
    if _call.status:
        return Outcome(False, f"the receiver answered HTTP {_call.status}")
    return _not_taken(connections)


def _not_taken(connections: Connections) -> Outcome:
    """Return why it was not, where no status says so."""
    faults, is_cut = connections.faults, TOO_LONG in connections.faults
    is_broken = is_cut or (_call.is_broken and not faults)
    reason = faults[-1] if faults else "the receiver did not answer" if is_broken else NOT_TAKEN
    fault = clip(redacted(reason), LONGEST_FAULT - 1)
    return Outcome(False, fault, may_have_arrived=is_broken and connections.were_made)


def service_at(address: str) -> Any:
    """Return what sends to an apprise URL. Raises ValidationError, which repeats nothing of it."""
    # Imported where it is needed: it takes a tenth of a second and 26 MB.
    import apprise

    logging.getLogger(LIBRARY).addFilter(_nothing)
    try:
        # Without a time limit it sends on this thread, and so where this thread may.
        asset = apprise.AppriseAsset(service_timeout=0, app_id=TITLE, app_desc=TITLE)
        found = apprise.Apprise.instantiate(address, asset=asset, suppress_exceptions=True)
    except Exception:  # what a plugin raises quotes the address
        found = None
    if found is None:
        raise ValidationError(f"{UNKNOWN}: see https://appriseit.com for what it is like")
    if found.socket_read_timeout == type(found).socket_read_timeout:  # the address has no `rto`
        found.socket_read_timeout = ANSWER_SECONDS
    return found


def _attached(picture: bytes | None) -> Any:
    if picture is None:
        return None
    from apprise import AppriseAttachment
    from apprise.attachment.memory import AttachMemory

    return AppriseAttachment(AttachMemory(picture, name=PICTURE, mimetype="image/png"))


def _box(service: Any) -> Any:
    """Return what writes a plain text as a service wants it, in pieces where it is too long."""
    import apprise

    service.overflow_mode = apprise.OverflowMode.SPLIT
    box = apprise.Apprise()
    box.add(service)
    return box


class _Nothing(logging.Filter):
    """Lets no line of the library out: they quote addresses. What it came to is kept."""

    def filter(self, record):
        said = record.getMessage()
        if found := STATUS.search(said):
            _call.status = found[1]
        if BROKEN in said.lower():
            _call.is_broken = True
        return False


_nothing = _Nothing()
