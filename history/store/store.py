"""Candles of years: files and the manifest that says what they hold, written and read together."""

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from exchanges.models import Exchange
from history.decoded import Decoded
from history.manifest import coverage_of
from history.months import Month
from history.parquet import Row
from history.places.place import Place
from history.store.encoded import Encoded, encode, said_of
from history.store.pairs import PairRows, unconfirmed_of
from history.store.reading import Files, Part, Stretch
from history.store.writing import Writing
from livermore.market.candle import Candle
from livermore.market.coverage import Coverage, union
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe
from warmup.cache.unconfirmed import Stretches

if TYPE_CHECKING:
    import pyarrow

logger = logging.getLogger(__name__)


class HistoryStore:
    """The history of one exchange, in one place. One process at a time may write it.

    Files that were read are kept in `decoded` for as long as they are the same. `may_write` is
    called before each file is written, and raises where it is another's turn by now.
    """

    def __init__(
        self,
        place: Place,
        exchange: Exchange,
        decoded: Decoded | None = None,
        may_write: Callable[[], None] = lambda: None,
    ):
        self._place = place
        self._exchange = exchange
        store_id = place.id()
        self._pairs = PairRows(store_id, exchange)
        self._files = Files(place, decoded or Decoded(0))
        self._writing = Writing(place, exchange, store_id, may_write)

    @property
    def bytes_written(self) -> int:
        """Return how many bytes of files this has written."""
        return self._writing.octets

    def warn_of_another_place(self) -> None:
        """Say in the log where nothing is here yet, and another place has it: it may be away."""
        if self._pairs.are_elsewhere():
            name = self._exchange.name
            logger.warning("history.another_place exchange=%s place=%s", name, self._place)

    # -- reading

    def coverage(self, pair: Pair) -> Coverage:
        """Return the stretches of which history has all candles."""
        found = self._pairs.find(pair)
        return coverage_of(found.coverage) if found else ()

    def coverages(self) -> dict[Pair, tuple[Coverage, Stretches]]:
        """Return of each pair of which there is history what `coverage` and `unconfirmed` do."""
        return self._pairs.all()

    def unconfirmed(self, pair: Pair) -> Stretches:
        """Return what the exchange has to tell again."""
        found = self._pairs.find(pair)
        return unconfirmed_of(found.unconfirmed) if found else ()

    def months(self, symbol: str, timeframes: Sequence[Timeframe]) -> set[Month]:
        """Return the months of which there are files of a symbol, in any of these timeframes."""
        return self._pairs.months(symbol, timeframes)

    def read(self, pair: Pair, start_ms: int, end_ms: int) -> Stretch:
        """Return the candles that opened in `[start_ms, end_ms)`.

        What lies in a file that is not what was written is not known.
        """
        return Stretch.of(self.parts(pair, start_ms, end_ms))

    def parts(self, pair: Pair, start_ms: int, end_ms: int) -> Iterator[Part]:
        """Yield the same by month, oldest first, of each month of which anything is known."""
        return self._files.parts(self._pairs.find(pair), start_ms, end_ms)

    # -- writing

    def write(
        self,
        pair: Pair,
        candles: Sequence[Candle],
        covered: Coverage,
        unconfirmed: Stretches | None = None,
    ) -> None:
        """Let these be all candles that opened in `covered`; those that lie elsewhere are left out.

        A candle with four columns stays where the same comes without them, and a file that would
        not change is not written. `unconfirmed` is what is so of the pair from now on, None leaves
        what is there. Each month is written at once or not at all, in the order of time.
        """

        def news(month: Month, part: Coverage) -> list[Row]:
            start_ms, end_ms = month.interval
            return [
                candle.row() for candle in candles
                if start_ms <= candle.timestamp < end_ms and _holds(part, candle.timestamp)
            ]  # fmt: skip

        found = self._pairs.find_or_make(pair)
        self._writing.write(found, covered, news)
        if unconfirmed is not None:
            found.unconfirmed = [list(each) for each in unconfirmed]
            found.save(update_fields=["unconfirmed"])

    def encode(
        self,
        pair: Pair,
        month: Month,
        table: "pyarrow.Table",
        covered: Coverage,
        known: Coverage,
        *,
        is_first: bool,
    ) -> Encoded:
        """Return what `add` takes: rows of a month, which are all candles there are in `covered`.

        Any thread may call it. `known` is what is covered of the pair so far, and `is_first` where
        it has no file of an earlier month: where that is wrong `add` encodes it again.
        """
        both = union([*known, *covered])
        said = said_of(self._exchange.name, pair, month, both, is_first=is_first)
        return encode(table, month, covered, said)

    def add(self, pair: Pair, months: Sequence[Encoded]) -> None:
        """Let the rows of months, each of them another one, be all that there are as they say."""
        found = self._pairs.find_or_make(pair)
        by_month = {each.month: each for each in months}
        covered = union(stretch for each in months for stretch in each.covered)
        self._writing.write(found, covered, lambda month, _: by_month[month])


def _holds(coverage: Coverage, time_ms: int | float) -> bool:
    return any(start <= time_ms < end for start, end in coverage)
