"""What rooms that this one does not know tell everybody who has a page open."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from channels.db import database_sync_to_async

Read = Callable[[], Mapping[str, Any]]

_readers: dict[str, Read] = {}


def tell_everybody(kind: str, read: Read) -> None:
    """Let every page be told what `read` returns, when it changes; it asks the database alone.

    The message is of type `kind`, and has it by that name; so has the snapshot.
    """
    _readers[kind] = read


class Others:
    """What was read of these rooms last; `send(kind, content)` is called with each change."""

    def __init__(self, send: Callable[[str, Mapping[str, Any]], Awaitable[None]]):
        self.told: dict[str, Mapping[str, Any]] = {}
        self._send = send

    async def read(self) -> None:
        """Read all of them again."""
        for kind, read in _readers.items():
            found = await database_sync_to_async(read)()
            if self.told.get(kind) != found:
                self.told[kind] = found
                await self._send(kind, found)
