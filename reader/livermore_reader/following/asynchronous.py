"""Each close of an exchange as it comes, for asyncio."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Generic

from livermore_reader.following.closes import Following, Item


class AsyncFollowing(Generic[Item]):
    """The same for asyncio: it waits in a thread of its own, and never in the loop.

    Who gives up waiting loses nothing: what came is there when it is asked for again.
    """

    def __init__(self, following: Following[Item]):
        self._following = following
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="livermore-follow")
        self._step: asyncio.Future[None] | None = None

    @property
    def id(self) -> str:
        return self._following.id

    def __aiter__(self) -> "AsyncFollowing[Item]":
        return self

    async def __anext__(self) -> Item:
        while not self._following.is_closed:
            if self._step is None:
                if (found := self._following.take()) is not None:
                    return found
                loop = asyncio.get_running_loop()
                self._step = loop.run_in_executor(self._thread, self._following.step)
            try:
                await asyncio.shield(self._step)
            finally:
                if self._step.done():
                    self._step = None
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """End it."""
        self._following.close()
        self._thread.shutdown(wait=False)

    async def __aenter__(self) -> "AsyncFollowing[Item]":
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.aclose()
