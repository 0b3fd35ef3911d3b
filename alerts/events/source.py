"""What sources are: what they are given to look with, and what they may say."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from redis import Redis
from redis.exceptions import ResponseError

from alerts.models import AlertRule
from exchanges.errors import clip
from exchanges.models import Exchange
from exchanges.redis.unreadable import OnceAnHour
from livermore.market.pair import Pair

logger = logging.getLogger(__name__)

_news = OnceAnHour()
WHOLE = ""  # the subject where there is but one


class Seen(NamedTuple):
    """All that lasts now of one kind at one exchange; None is the installation as a whole.

    `subjects` are what it is about with a line of text each: `BTC-USD`, `BTC-USD 1h` as
    `pair_subject` writes it, a machine, or WHOLE. `amounts` are what the threshold is compared
    with, by subject, where that is not for how long it lasts: what is below does not count.
    """

    kind: str
    exchange: Exchange | None
    subjects: Mapping[str, str]
    amounts: Mapping[str, float] | None = None


class Moment(NamedTuple):
    """Something that happened, to be told once. `rule` is the id of the only one it is for."""

    kind: str
    exchange: Exchange | None
    subject: str
    text: str
    at_ms: int
    rule: int | None = None
    is_late: bool = False  # too old to ring: it is kept for the page


@dataclass(slots=True)
class Look:
    """One look: what there is to look with. `exchanges` and `rules` are those that are active.

    `now_ms` is this machine's time.
    """

    redis: Redis
    now_ms: int
    exchanges: Sequence[Exchange]
    rules: Sequence[AlertRule]
    positions: dict[str, Any] = field(default_factory=dict)
    writes: list[Callable[[], None]] = field(default_factory=list)

    def write_with(self, write: Callable[[], None]) -> None:
        """Have something of a source's own written in the transaction that writes the alerts."""
        self.writes.append(write)

    def position(self, name: str) -> dict[str, Any]:
        """Return what a source has kept, to be changed: it is written with what comes of it."""
        return self.positions.setdefault(name, {})

    def wanted(self) -> list[Exchange]:
        """Return the exchanges that shall run."""
        return [each for each in self.exchanges if each.wanted == Exchange.Wanted.RUNNING]

    def rules_of(self, *kinds: str) -> list[AlertRule]:
        """Return the rules that are about one of these."""
        return [rule for rule in self.rules if rule.what in kinds]


class Source(Protocol):
    """Looks at one subject. What it raises costs its own word of this look alone."""

    name: str
    needs_redis: bool  # it is not asked while Redis is away

    def look(self, look: Look) -> Iterable[Seen | Moment]:
        """Say what is seen. Raises RedisError, or DatabaseError, where it can't be."""
        ...


@contextmanager
def readable(name: str, exchange: Exchange) -> Iterator[None]:
    """Let what can't be read of one exchange cost a source that exchange alone, and say so.

    It has said nothing of it then. A Redis that is away is no fault of the exchange.
    """
    try:
        yield
    except (ResponseError, ValueError, LookupError, TypeError) as error:
        text = clip(f"{type(error).__name__}: {error}")
        if _news.is_news(f"{name} {exchange.pk}", text):
            logger.warning(
                "alerts.unreadable source=%s exchange=%s error=%s", name, exchange.name, text
            )


def pair_subject(pair: Pair) -> str:
    """Return how a pair is written as a subject."""
    return f"{pair.symbol} {pair.timeframe}"
