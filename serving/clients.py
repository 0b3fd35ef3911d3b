"""Who may ask: on this machine anybody, from elsewhere who has the token of an API client."""

import base64
import time
from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web
from django.db import close_old_connections
from django.utils import timezone

from serving.directory import Rows
from serving.models import ApiClient, digest

SECONDS_BETWEEN_SEEN = 60.0
LONGEST_TOKEN = 200  # ours have 46 characters


@dataclass(slots=True)
class Caller:
    """An API client as this process knows it, and what it does."""

    number: int
    name: str
    requests_per_second: int
    sockets: int
    digest: str
    seen_at: float = float("-inf")  # when that was written down
    _second: int = 0
    _in_second: int = 0

    def may_ask(self) -> bool:
        """Count a request; tell whether it is within what the client may send in a second."""
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._in_second = second, 0
        self._in_second += 1
        return self._in_second <= self.requests_per_second


class Callers(Rows):
    """All API clients that are active, by their token; what they do goes on being counted."""

    def __init__(self) -> None:
        super().__init__()
        self.by_digest: dict[str, Caller] = {}

    def knows(self, token: str) -> bool:
        return self.who(token) is not None

    def load(self) -> None:
        before = {each.number: each for each in self.by_digest.values()}
        found = {}
        for row in ApiClient.objects.filter(is_active=True):
            caller = before.get(row.pk) or Caller(
                row.pk, row.name, row.requests_per_second, row.sockets, row.token_digest
            )
            caller.name, caller.digest = row.name, row.token_digest
            caller.requests_per_second, caller.sockets = row.requests_per_second, row.sockets
            found[row.token_digest] = caller
        self.by_digest = found

    def who(self, token: str) -> Caller | None:
        """Return whose token that is, None for nobody's.

        How long that takes tells nothing: what is compared are digests, and which digest a guess
        has nobody chooses.
        """
        return self.by_digest.get(digest(token))

    def note_seen(self, caller: Caller) -> None:
        """Write down that a client was seen."""
        close_old_connections()
        ApiClient.objects.filter(pk=caller.number).update(last_seen_at=timezone.now())


def is_due(caller: Caller) -> bool:
    """Tell whether it is to be written down that a client was seen, and that it is done now."""
    now = time.monotonic()
    if now - caller.seen_at < SECONDS_BETWEEN_SEEN:
        return False
    caller.seen_at = now
    return True


def token_of(headers: Mapping[str, str], in_path: str | None) -> str | None:
    """Return the token that a request carries, None where it carries none.

    That of its path counts before a header, which libraries add by themselves (.netrc). Raises
    HTTPUnauthorized for what is no token in a form that we know.
    """
    token = in_path or _token_of_header(headers.get("Authorization", "").strip())
    if token is not None and not (token.isascii() and len(token) <= LONGEST_TOKEN):
        raise web.HTTPUnauthorized
    return token


def is_sent_by_browsers(headers: Mapping[str, str], in_path: str | None) -> bool:
    """Tell whether what lets a request in, if anything, is what browsers add to any page's."""
    return not in_path and not headers.get("Authorization", "").lower().startswith("bearer ")


def _token_of_header(text: str) -> str | None:
    kind, _, proof = text.partition(" ")
    match kind.lower():
        case "":
            return None
        case "bearer":
            return proof.strip()
        case "basic":
            try:
                return base64.b64decode(proof.strip(), validate=True).decode().partition(":")[2]
            except ValueError:  # no Base64, no ASCII before that, or no UTF-8 in it
                raise web.HTTPUnauthorized from None
    raise web.HTTPUnauthorized
