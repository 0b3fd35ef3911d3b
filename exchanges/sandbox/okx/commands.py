"""What OKX's clients ask for on a WebSocket, and how it answers."""

from typing import NamedTuple

import orjson

BAD_REQUEST, TOO_OFTEN, REFUSED = "60012", "60014", "60018"
SUBSCRIBE, UNSUBSCRIBE = "subscribe", "unsubscribe"


class BadCommand(Exception):
    """A message that can't be done; nothing of it is."""

    def __init__(self, code: str, message: str, request_id: object = None):
        super().__init__(message)
        self.code, self.message, self.request_id = code, message, request_id

    def reply(self, connection_id: str) -> bytes:
        """Write what the client gets."""
        told = {"event": "error", "msg": self.message, "code": self.code, "connId": connection_id}
        return orjson.dumps(_with_id(told, self.request_id))


class Command(NamedTuple):
    """One message: what is to be done with which streams, as channel and instrument."""

    verb: str
    streams: list[tuple[str, str]]
    request_id: object


def read_command(text: bytes) -> Command:
    """Return what a message asks for. Raises BadCommand."""
    try:
        sent = orjson.loads(text)
        verb, request_id = sent["op"], sent.get("id")
        streams = [(arg["channel"], arg["instId"]) for arg in sent["args"]]
        names = [name for stream in streams for name in stream]
        if verb not in (SUBSCRIBE, UNSUBSCRIBE) or not names:
            raise ValueError(verb)
        if not all(isinstance(name, str) for name in names):
            raise TypeError("no name")
    except (ValueError, TypeError, LookupError, AttributeError):
        message = f"Invalid request: {text[:200].decode('utf-8', 'replace')}"
        raise BadCommand(BAD_REQUEST, message) from None
    return Command(verb, streams, request_id)


def refused(stream: tuple[str, str], request_id: object) -> BadCommand:
    """Return what a name gets that no stream of this address has, whatever is wrong with it."""
    channel, instrument = stream
    return BadCommand(
        REFUSED,
        f"Subscribe failed, wrong URL or channel:{channel},instId:{instrument} doesn't exist. "
        "Please use the correct URL, channel and parameters referring to API document.",
        request_id,
    )


def too_often(request_id: object) -> BadCommand:
    return BadCommand(TOO_OFTEN, "Requests too frequent", request_id)


def answer(command: Command, stream: tuple[str, str], connection_id: str) -> bytes:
    """Write the answer for one stream of a message; each has its own."""
    channel, instrument = stream
    arg = {"channel": channel, "instId": instrument}
    told = {"event": command.verb, "arg": arg, "connId": connection_id}
    return orjson.dumps(_with_id(told, command.request_id))


def notice(connection_id: str) -> bytes:
    """Write what announces an upgrade, after which connections are closed."""
    return orjson.dumps(
        {
            "event": "notice",
            "code": "64008",
            "msg": "The connection will soon be closed for a service upgrade. Please reconnect.",
            "connId": connection_id,
        }
    )


def _with_id(told: dict, request_id: object) -> dict:
    return told if request_id is None else {"id": request_id} | told
