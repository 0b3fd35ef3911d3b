"""Public requests that the cache has no answer to: asked of the exchange, once for all."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson
from django.db import close_old_connections

from exchanges.adapters import beside_api, open_rest
from exchanges.models import Exchange
from exchanges.rest.pacing.budget import Lane
from serving.candles.unavailable import Unavailable
from serving.directory import ServedExchange
from serving.fetching.failures import FAILURES, untold
from serving.standing.cache_status import cache_status
from serving.standing.origins import REST, source
from serving.together.answers import NONE, Answer
from serving.together.once import Got, Once

REFUSALS = (400, 404)  # of the request itself; any other is between the exchange and us
REFUSAL_SECONDS = 5.0  # for which one holds at the most
LONGEST_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Passed:
    """What the exchange has answered; `was_kept` tells that it was not asked for this."""

    told: Answer
    was_kept: bool

    @property
    def status(self) -> int:
        return self.told.status

    @property
    def content(self) -> Any:
        return self.told.content

    @property
    def headers(self) -> dict[str, str]:
        """Return what is said of where the answer is from."""
        status = cache_status(kept=self.was_kept, fetched=not self.was_kept)
        age_seconds = max(0, int(time.time() - self.told.told_at))
        return {"Age": str(age_seconds), "Cache-Status": status} | source([REST])


class Passing:
    """Asks an exchange under its limits; an answer holds for as long as who asks says.

    What it refuses holds for a moment, and where it does not answer it is left alone until it is
    to be asked again.
    """

    def __init__(self, once: Once) -> None:
        self._once = once

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
        sent = sorted(params.items())
        request = repr((path, sent, at_host))
        asked = (exchange.exchange_id, path, _grouped(sent), weight, at_host)
        call = partial(fetch_json, *asked)
        ask = partial(_asked, call, holds_seconds)
        try:
            got = await self._once.get(exchange, request, ask, LONGEST_SECONDS)
        except TimeoutError:
            raise Unavailable(f"{exchange.name} has not answered in time") from None
        except Unavailable:
            raise
        except FAILURES as error:  # it was not asked at all
            raise Unavailable(str(error)) from error
        return _answered(got)


def fetch_json(
    exchange_id: int,
    path: str,
    params: Mapping[str, str | list[str]],
    weight: int,
    at_host: bool = False,
) -> Any:
    """Return what an exchange answers to a public GET of its own protocol.

    A path `at_host` begins behind its host, not behind the address of its API.

    Raises LivermoreError, with what the exchange said as its `reply` where that refused it.
    """
    close_old_connections()
    exchange = Exchange.objects.get(pk=exchange_id)
    with closing(open_rest(beside_api(exchange) if at_host else exchange)) as rest:
        return rest.client.get(
            path, params, weight=weight, lane=Lane.SERVE, signed=False, long=True
        )


def _grouped(params: Sequence[tuple[str, str]]) -> dict[str, str | list[str]]:
    """Return the value of each name, of one that comes several times a list of all."""
    values: dict[str, list[str]] = {}
    for name, value in params:
        values.setdefault(name, []).append(value)
    return {name: found if len(found) > 1 else found[0] for name, found in values.items()}


def _asked(call: Callable[[], Any], holds_seconds: float) -> Answer:
    """Return what an exchange answers, and why it did not where that is so."""
    try:
        content = call()
    except FAILURES as error:
        status, content = getattr(error, "reply", None) or (NONE, None)
        if status not in REFUSALS:
            return untold(error)
        holds_seconds = min(holds_seconds, REFUSAL_SECONDS)
    else:
        status = 200
    return Answer(status, orjson.dumps(content), time.time(), holds_seconds)


def _answered(got: Got) -> Passed:
    """Return an answer of the exchange; raise Unavailable where it is none."""
    answer = got.answer
    if answer.status == NONE:
        raise Unavailable(answer.why, answer.seconds_to_wait)
    return Passed(answer, got.was_kept)
