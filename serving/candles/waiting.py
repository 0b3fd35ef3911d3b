"""What many wait for, looked for once."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Hashable
from contextlib import suppress
from typing import Any


class Waits:
    """Work by what it waits for; it ends when nobody waits for that any more. For one loop."""

    def __init__(self) -> None:
        self._tasks: dict[Hashable, asyncio.Task[None]] = {}
        self._waiting: Counter[Hashable] = Counter()

    async def wait(
        self, what: Hashable, work: Callable[[], Coroutine[Any, Any, None]], seconds: float
    ) -> None:
        """Return when `work` is done, be it somebody else's, or after so long.

        Raises what it raises.
        """
        task = self._tasks.get(what)
        if task is None:
            task = self._tasks[what] = asyncio.create_task(work())
        self._waiting[what] += 1
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await asyncio.shield(task)
        finally:
            self._waiting[what] -= 1
            if not self._waiting[what]:
                del self._waiting[what], self._tasks[what]
                task.cancel()
