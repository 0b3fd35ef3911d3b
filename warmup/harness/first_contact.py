"""First contact with an exchange: its venue's unsure facts are asked, and what came is told."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

from redis import Redis

from exchanges import adapters
from exchanges.contact.contact import Contact
from exchanges.contact.fact import Answer, UnsureFact
from exchanges.contact.usual import USUAL
from exchanges.errors import Banned, Blocked, LivermoreError, RateLimited, TurnedAway, one_line
from exchanges.models import Exchange
from warmup.harness.contact_report import ContactReport, Finding
from warmup.harness.report import CheckReport

logger = logging.getLogger(__name__)

LEAST_MINUTES, MOST_MINUTES = 1, 120
ENDS = (RateLimited, Banned, TurnedAway, Blocked)  # whatever is asked next would make it worse
OUR_FAULT = "a fault of ours: LIVERMORE_LOG_LEVEL=DEBUG shows it"


class FirstContact:
    """Asks what is usual and what its venue is unsure of, one after the other.

    `minutes` is how long the stream is listened to, 1 to 120; ValueError otherwise. It writes
    nothing, neither to Redis, but for what paces calls, nor to the database.
    """

    def __init__(self, redis: Redis, exchange: Exchange, minutes: float):
        if not LEAST_MINUTES <= minutes <= MOST_MINUTES:
            raise ValueError(f"minutes is {LEAST_MINUTES} to {MOST_MINUTES}, not {minutes:g}")
        self._redis = redis
        self._exchange = exchange
        self._minutes = minutes
        self._venue = adapters.venue_of(exchange)

    @property
    def facts(self) -> tuple[UnsureFact, ...]:
        """Return what is asked, in order."""
        return (*USUAL, *self._venue.unsure)

    def run(
        self, check: CheckReport, on_finding: Callable[[ContactReport], None] = lambda report: None
    ) -> ContactReport:
        """Return what was found, with what the steps of a `check` said of the exchange before.

        `on_finding` is given the report as far as it has got, after each question.
        """
        report = ContactReport(self._exchange, self._venue, self._minutes, check, len(self.facts))
        for finding in self._findings(check):
            report.findings.append(finding)
            on_finding(report)
        return report

    def _findings(self, check: CheckReport) -> Iterator[Finding]:
        if check.symbol is None or not check.found_symbol:
            why = "the check found no symbol, or did not reach the exchange"
            yield from (Finding(fact, failure=f"not asked: {why}") for fact in self.facts)
            return
        with self._opened(check.symbol) as contact:
            ended = ""
            for fact in self.facts:
                if ended:
                    yield Finding(fact, failure=f"not asked: {ended}")
                    continue
                finding, ended = _ask(fact, contact)
                yield finding

    @contextmanager
    def _opened(self, symbol: str) -> Iterator[Contact]:
        with closing(adapters.rest_of(self._exchange, self._redis, {})) as rest:
            listed = rest.list_symbols()
            trading = [each for each in listed if each.is_trading]
            names = {each.symbol: each.native_symbol for each in trading}
            markets = {
                rest.market_name(each.native_symbol, each.kind): each.symbol for each in trading
            }
            rest.learn(names)
            told = rest.list_volumes()
            volumes = {markets[each]: volume for each, volume in told.items() if each in markets}
            aliases = {each.symbol: each.alias for each in trading if each.alias}
            stream = adapters.stream_of(self._exchange, names, aliases)
            yield Contact(rest, stream, symbol, listed, volumes, self._minutes)


def _ask(fact: UnsureFact, contact: Contact) -> tuple[Finding, str]:
    """Return what came of a question, and why no other may be asked, "" where they may."""
    begun = time.monotonic()
    answer: Answer | None = None
    failure = ended = ""
    try:
        answer = fact.ask(contact)
    except ENDS as error:
        failure = ended = one_line(str(error))
    except LivermoreError as error:
        failure = one_line(str(error))
    except Exception as error:  # whatever it is, the other answers are wanted
        logger.debug("contact.died fact=%s", fact.name, exc_info=error)
        failure = f"{OUR_FAULT} ({type(error).__name__})"
    return Finding(fact, answer, failure, time.monotonic() - begun), ended
