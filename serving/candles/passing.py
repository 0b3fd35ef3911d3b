"""Public requests that the cache has no answer to: asked of the exchange, once for all."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from serving.candles.calls import Calls
from serving.candles.fetching import FAILURES, fetch_json, seconds_to_wait
from serving.candles.unavailable import Unavailable
from serving.counting.asked import note_waiting
from serving.directory import ServedExchange
from serving.together.answers import AnswersBeside, Told

ANSWERS_KEPT = 1000
REFUSALS = (400, 404)  # of the request itself; any other is between the exchange and us
LONGEST_SECONDS = 15.0


class Request(NamedTuple):
    """What is asked of an exchange; a path `at_host` begins behind the host of its address."""

    exchange_id: int
    path: str
    params: tuple[tuple[str, str], ...]
    at_host: bool


class Passed(NamedTuple):
    """What the exchange answered: HTTP status and content, and when that was."""

    status: int
    content: Any
    told_at: float  # monotonic

    @property
    def age_seconds(self) -> int:
        return int(time.monotonic() - self.told_at)


class Passing:
    """Asks an exchange under its limits; an answer holds for as long as who asks says.

    It is shared with the processes `beside` this one, where there are others.
    """

    def __init__(self, calls: Calls, beside: AnswersBeside | None = None) -> None:
        self._calls = calls
        self._beside = beside
        self._kept: dict[Request, Passed] = {}
        self._under_way: dict[Request, asyncio.Task[Passed]] = {}

    async def get(
        self,
        exchange: ServedExchange,
        path: str,
        params: Mapping[str, str],
        *,
        weight: int,
        holds_seconds: float,
        at_host: bool = False,
    ) -> Passed:
        """Return the exchange's own answer to a GET. Raises Unavailable where there is none.

        Names may come several times in `params`. A path begins behind the address of the exchange's
        API or, `at_host`, behind its host.
        """
        sent = tuple(sorted(params.items()))
        request = Request(exchange.exchange_id, path, sent, at_host)
        kept = self._kept.get(request)
        if kept and time.monotonic() - kept.told_at < holds_seconds:
            return kept
        if request in self._under_way:
            note_waiting()
        else:
            task = asyncio.create_task(self._ask(exchange, request, weight, holds_seconds))
            self._under_way[request] = task
            task.add_done_callback(lambda _: self._under_way.pop(request, None))
        try:
            async with asyncio.timeout(LONGEST_SECONDS):
                return await asyncio.shield(self._under_way[request])
        except TimeoutError:
            raise Unavailable(f"{exchange.name} has not answered in time") from None

    async def _ask(
        self, exchange: ServedExchange, request: Request, weight: int, holds_seconds: float
    ) -> Passed:
        try:
            asked = (request, weight, holds_seconds)
            content, told_at = await self._calls.call(exchange, self._fetch, *asked)
        except Unavailable:
            raise
        except FAILURES as error:
            status, content = getattr(error, "reply", None) or (0, None)
            if status not in REFUSALS:
                raise Unavailable(str(error), seconds_to_wait(error)) from error
            return Passed(status, content, time.monotonic())
        passed = Passed(200, content, time.monotonic() - max(0.0, time.time() - told_at))
        self._kept[request] = passed
        while len(self._kept) > ANSWERS_KEPT:
            del self._kept[next(iter(self._kept))]
        return passed

    def _fetch(self, request: Request, weight: int, holds_seconds: float) -> Told:
        number, path, params, at_host = request
        ask = partial(fetch_json, number, path, _grouped(params), weight, at_host)
        if self._beside is None:
            return ask(), time.time()
        return self._beside.get(number, repr(request), holds_seconds, ask)


def _grouped(params: Sequence[tuple[str, str]]) -> dict[str, str | list[str]]:
    """Return the value of each name, of one that comes several times a list of all."""
    values: dict[str, list[str]] = {}
    for name, value in params:
        values.setdefault(name, []).append(value)
    return {name: found if len(found) > 1 else found[0] for name, found in values.items()}
