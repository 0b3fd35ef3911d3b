"""What the database has, read in threads of its own: where it hangs few wait, and not for long."""

import asyncio
import logging
from collections.abc import Callable

from django.db import Error as DatabaseError

from exchanges.daemon_threads import Workers
from serving.candles.unavailable import RETRY_SECONDS
from serving.directory import Rows
from serving.refusals import DISCONNECTED, Refused

logger = logging.getLogger(__name__)

READERS = 2
# Of who asks about a row that is known from before, and about one that is not.
KNOWN_SECONDS, UNKNOWN_SECONDS = 2.0, 10.0
END_SECONDS = 1.0  # for what is being written down


class RowReader:
    """Reads rows where that is due. Used in the event loop alone."""

    def __init__(self) -> None:
        self._workers = Workers(READERS, "serving-rows")
        self._under_way: dict[Rows, asyncio.Future[None]] = {}
        self._began_at: dict[Rows, float] = {}
        self._failed: set[Rows] = set()  # when they were read last

    async def read(self, rows: Rows, name: str) -> None:
        """Read rows where that is due to know one of them.

        Where it takes long, one that is known is taken as it was. Raises Refused where the database
        is away and it isn't known.
        """
        is_late = False
        if rows.is_due(name):
            reading = self.read_now(rows)
            try:
                async with asyncio.timeout(self._seconds_left(rows, name)):
                    await asyncio.shield(reading)
            except TimeoutError:
                is_late = True
            except DatabaseError:
                pass
        elif rows.is_due_soon(name):
            self.read_now(rows)
        if not rows.knows(name) and (is_late or rows in self._failed):
            text = "The database can't be read, which knows what is served to whom"
            raise Refused(503, DISCONNECTED, text, {"Retry-After": str(RETRY_SECONDS)})

    def read_now(self, rows: Rows) -> asyncio.Future[None]:
        """Have rows read, unless they are being read already. It raises django.db.Error."""
        if rows not in self._under_way:
            self._began_at[rows] = asyncio.get_running_loop().time()
            reading = asyncio.wrap_future(self._workers.submit(rows.read))
            self._under_way[rows] = reading
            reading.add_done_callback(lambda _: self._ended(rows))
        return self._under_way[rows]

    def write(self, work: Callable[..., object], *arguments: object) -> None:
        """Have something written down; nobody waits for that."""
        writing = asyncio.wrap_future(self._workers.submit(work, *arguments))
        writing.add_done_callback(_note_failure)

    def close(self) -> None:
        """End the threads, when what is being written down is written."""
        self._workers.close()
        self._workers.join(END_SECONDS)

    def _ended(self, rows: Rows) -> None:
        has_failed = _note_failure(self._under_way.pop(rows))
        (self._failed.add if has_failed else self._failed.discard)(rows)

    def _seconds_left(self, rows: Rows, name: str) -> float:
        """Return for how long to wait: the first few who ask wait longer than all others."""
        longest = KNOWN_SECONDS if rows.knows(name) else UNKNOWN_SECONDS
        return max(0.0, self._began_at[rows] + longest - asyncio.get_running_loop().time())


def _note_failure(done: asyncio.Future) -> bool:
    error = None if done.cancelled() else done.exception()
    if error:
        logger.warning("serving.no_database error=%s", error)
    return error is not None
