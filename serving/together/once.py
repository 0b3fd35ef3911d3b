"""What an exchange is asked once, for all who want the same: here, and in processes beside this."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import NamedTuple

from serving.counting.asked import note_waiting
from serving.directory import ServedExchange
from serving.fetching.calls import Calls, Displaced
from serving.together.answers import Answer, AnswersBeside

MOST_BYTES = 64_000_000  # of all answers that are kept

Request = tuple[int, str]  # of an exchange


class Got(NamedTuple):
    """An answer; `was_kept` tells that the exchange was not asked for this."""

    answer: Answer
    was_kept: bool


class Once:
    """Asks exchanges, and keeps what comes of it for as long as it holds. For one loop.

    It is shared with the processes `beside` this one, where there are others.
    """

    def __init__(self, calls: Calls, beside: AnswersBeside | None = None) -> None:
        self._calls = calls
        self._beside = beside
        self._kept = Kept()
        self._under_way: dict[Request, asyncio.Task[Got]] = {}

    async def get(
        self, exchange: ServedExchange, request: str, ask: Callable[[], Answer], seconds: float
    ) -> Got:
        """Return what was told and still holds, else what `ask` returns, which a thread calls.

        Raises what it raises, what `Calls.call` raises, and TimeoutError after so many seconds.
        """
        which = exchange.exchange_id, request
        if kept := self._kept.get(which):
            return Got(kept, was_kept=True)
        async with asyncio.timeout(seconds):
            while which in self._under_way:
                note_waiting()
                with suppress(Displaced):  # of who asked first, it may not be of who asks now
                    return await asyncio.shield(self._under_way[which])
            task = self._under_way[which] = asyncio.create_task(self._ask(exchange, which, ask))
            task.add_done_callback(lambda _: self._under_way.pop(which, None))
            return await asyncio.shield(task)

    def keep(self, exchange: ServedExchange, answers: Mapping[str, Answer]) -> None:
        """Keep what was told of requests beside something else, for as long as it holds."""
        for request, answer in answers.items():
            self._kept.put((exchange.exchange_id, request), answer)

    def share(self, exchange: ServedExchange, answers: Mapping[str, Answer]) -> None:
        """Leave that for the processes beside this one. In any thread. Raises RedisError."""
        if self._beside and answers:
            self._beside.share(exchange.exchange_id, answers)

    async def _ask(
        self, exchange: ServedExchange, which: Request, ask: Callable[[], Answer]
    ) -> Got:
        got = await self._calls.call(exchange, self._told, which, ask)
        self._kept.put(which, got.answer)
        return got

    def _told(self, which: Request, ask: Callable[[], Answer]) -> Got:
        was_kept = True

        def asked() -> Answer:
            nonlocal was_kept
            was_kept = False
            return ask()

        answer = self._beside.get(*which, asked) if self._beside else asked()
        return Got(answer, was_kept)


class Kept:
    """Answers that still hold, no more than so many bytes of them."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Request, tuple[float, Answer]] = OrderedDict()  # until when
        self._bytes = 0

    def get(self, which: Request) -> Answer | None:
        until, answer = self._kept.get(which, (0.0, None))
        return answer if time.monotonic() < until else None

    def put(self, which: Request, answer: Answer) -> None:
        self._drop(which)
        self._kept[which] = time.monotonic() + answer.left_seconds, answer
        self._bytes += len(answer.body)
        while self._kept and (self._bytes > MOST_BYTES or self._is_over()):
            self._drop(next(iter(self._kept)))

    def _is_over(self) -> bool:
        """Tell whether the oldest one holds no longer."""
        until, _ = next(iter(self._kept.values()))
        return time.monotonic() >= until

    def _drop(self, which: Request) -> None:
        _, answer = self._kept.pop(which, (0.0, None))
        self._bytes -= len(answer.body) if answer else 0
