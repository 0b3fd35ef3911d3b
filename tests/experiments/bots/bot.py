"""What all bots have in common: a thread, what they compare with, and what they found."""

import threading
import traceback
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.experiments.bots.checks import Answer, faults_of, faults_of_open, newest_late_ms
from tests.experiments.bots.findings import Findings
from tests.experiments.bots.truth import ExchangeTime, Pair, Row, Truth

SLACK_SECONDS = 0.5  # of ours: an exchange's time is known to serve so late at the most
SECONDS_BETWEEN_TRIES = 0.3
OMITS = ("coinbase",)  # rows of a venue that leaves quiet bars out


@dataclass(frozen=True)
class Place:
    """Where bots are: the address of `serve`, the truth, and whether it is time to end."""

    url: str
    truth: Truth
    ending: threading.Event

    @property
    def time(self) -> ExchangeTime:
        return self.truth.time

    @property
    def slack_ms(self) -> int:
        return int(SLACK_SECONDS * 1000 * self.time.speed)


class Bot(threading.Thread, ABC):
    """Takes one turn after another until it is time to end. What a turn raises is a fault."""

    def __init__(self, place: Place, name: str, exchange: str, token: str = ""):
        super().__init__(name=name, daemon=True)
        self.place, self.exchange, self.token = place, exchange, token
        self.found = Findings(name)
        self._open: list[tuple[Pair, Row, int]] = []  # rows whose bars had not ended, and when

    @abstractmethod
    def turn(self) -> None:
        """Ask once, or listen for a while."""

    def run(self) -> None:
        while not self.place.ending.is_set():
            try:
                self.turn()
            except Exception as error:
                frame = traceback.extract_tb(error.__traceback__)[-1]
                self.found.fault(f"{type(error).__name__}: {error} ({frame.name})")
                self.pause(1)

    def finish(self) -> None:
        """Look at what could not be known before."""
        self._look_at_open()

    def pause(self, seconds: float) -> None:
        self.place.ending.wait(seconds)

    @property
    def root(self) -> str:
        """Return the address of all exchanges."""
        return f"{self.place.url}/k/{self.token}" if self.token else self.place.url

    def pair(self, symbol: str, interval: str) -> Pair:
        return Pair(symbol, interval, self.exchange in OMITS)

    # -- what it was told

    def compare(
        self, pair: Pair, rows: Sequence[Row], sent_ms: int, received_ms: int, **asked: Any
    ) -> None:
        """Hold the rows of an answer against the truth."""
        slack_ms = self.place.slack_ms
        answer = Answer(pair, rows, sent_ms=sent_ms, received_ms=received_ms, slack_ms=slack_ms,
                        **asked)  # fmt: skip
        self.found.well()
        self.found.answers += 1
        self.found.rows += len(rows)
        late_ms = newest_late_ms(answer, self.place.truth)
        self.found.latest_ms = max(self.found.latest_ms, late_ms)
        for text in faults_of(answer, self.place.truth):
            self.found.fault(f"{pair.symbol} {pair.interval}: {text}")
        self.was_open(pair, answer.open_rows(), sent_ms)

    def was_open(self, pair: Pair, rows: Sequence[Row], at_ms: int) -> None:
        """Keep open candles until it is known what became of them."""
        self._open += [(pair, row, at_ms) for row in rows]
        if len(self._open) > 500:
            self._look_at_open()

    def _look_at_open(self) -> None:
        truth, now_ms = self.place.truth, self.place.time.now_ms()
        left = []
        for pair, row, at_ms in self._open:
            ended_ms = row[0] + pair.ms
            if ended_ms > now_ms:
                left.append((pair, row, at_ms))
                continue
            true = truth.closed(pair, row[0], ended_ms).get(row[0])
            for text in faults_of_open(row, true):
                self.found.fault(f"{pair.symbol} {pair.interval} open: {text}")
            if true is not None and list(row) != list(true[: len(row)]):
                self.found.open_latest_ms = max(self.found.open_latest_ms, at_ms - ended_ms)
        self._open = left[-5000:]

    def check_headers(self, headers: Mapping[str, str], received_ms: int) -> None:
        """Look at what an answer says that it stands on."""
        status = headers.get("Cache-Status", "")
        self.found.fetched += "fwd=" in status
        if headers.get("X-Livermore-Source") == "rest":
            return  # the exchange's own word
        if headers.get("X-Livermore-Complete") != "1":
            self.found.fault(f"an answer that does not claim to be complete: {dict(headers)}")
        newest = headers.get("X-Livermore-Newest-Close", "")
        if newest.isdigit() and int(newest) > received_ms:
            self.found.fault(f"X-Livermore-Newest-Close {newest} is in the future")


def numbers(texts: Sequence[Any]) -> Row:
    """Return open time, prices, volume and the four other columns of a row as Binance writes it."""
    opened, *prices = texts[:6]
    quote, trades, taken, paid = texts[7:11]
    others = [quote, trades, taken, paid]
    if None not in others:
        others = [float(quote), trades, float(taken), float(paid)]
    return [opened, *map(float, prices), *others]
