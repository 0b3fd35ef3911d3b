"""What the manifest says of the pairs of an exchange in one place, and of which files there are."""

from collections.abc import Iterable, Sequence

from exchanges.models import Exchange
from history.manifest import coverage_of, pair_key
from history.models import HistoryFile, PairHistory
from history.months import Month, months_in
from livermore.market.coverage import Coverage
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe
from warmup.cache.unconfirmed import Stretches, Unconfirmed


class PairRows:
    """The rows of one exchange's pairs in the place with this id."""

    def __init__(self, store_id: str, exchange: Exchange):
        self._id = store_id
        self._exchange = exchange

    def are_elsewhere(self) -> bool:
        """Tell whether there is history of the exchange, and none of it is here."""
        rows = PairHistory.objects.filter(exchange=self._exchange)
        return not rows.filter(store=self._id).exists() and rows.exists()

    def find(self, pair: Pair) -> PairHistory | None:
        """Return a pair's row, None where it has no history."""
        rows = PairHistory.objects.filter(**pair_key(self._id, self._exchange, pair))
        return rows.order_by("pk").first()  # by its exchange's name it would be joined with that

    def find_or_make(self, pair: Pair) -> PairHistory:
        """Return a pair's row, made where there is none."""
        return PairHistory.objects.get_or_create(**pair_key(self._id, self._exchange, pair))[0]

    def all(self) -> dict[Pair, tuple[Coverage, Stretches]]:
        """Return of each pair what is covered, and what the exchange has to tell again."""
        rows = PairHistory.objects.filter(store=self._id, exchange=self._exchange)
        names = ("symbol", "timeframe", "coverage", "unconfirmed")
        return {
            Pair(symbol, Timeframe(timeframe)): (coverage_of(coverage), unconfirmed_of(unconfirmed))
            for symbol, timeframe, coverage, unconfirmed in rows.values_list(*names)
        }

    def months(self, symbol: str, timeframes: Sequence[Timeframe]) -> set[Month]:
        """Return the months of which there are files of a symbol, in any of these timeframes."""
        files = HistoryFile.objects.filter(
            pair__store=self._id,
            pair__exchange=self._exchange,
            pair__symbol=symbol,
            pair__timeframe__in=list(map(str, timeframes)),
        ).exclude(digest="", next_digest="")
        return {Month.named(each) for each in files.values_list("month", flat=True)}


def files_of(found: PairHistory, covered: Coverage) -> dict[str, HistoryFile]:
    """Return the rows of a pair's files in some stretches that were written, by month."""
    months = [str(month) for month, _ in months_in(covered)]
    written = found.files.filter(month__in=months).exclude(digest="", next_digest="")
    return {file.month: file for file in written}


def unconfirmed_of(stored: Iterable[Sequence]) -> Stretches:
    """Return what is unconfirmed as rows keep it."""
    return tuple(Unconfirmed(*each) for each in stored)
