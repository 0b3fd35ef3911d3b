"""Making history true again where verification found that it is not."""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from exchanges.errors import BadPayload
from exchanges.models import Exchange
from exchanges.rest.base import VenueRest
from history.filling import HistoryFilling
from history.manifest import Manifest, coverage_of, digest_of, folder_of, read_path
from history.models import HistoryFile
from history.places.place import Place, set_aside
from history.store.store import HistoryStore
from history.verifying import contents
from history.verifying.difference import Difference, Kind
from livermore.market.coverage import Coverage, Interval, intersect, union
from livermore.market.pair import Pair
from livermore.market.timeframe import LONGEST_FIRST, Timeframe

logger = logging.getLogger(__name__)

Lost = dict[Pair, Coverage]


@dataclass(slots=True)
class RepairReport:
    """What was done: files by their paths, and of those left alone why."""

    adopted: list[str] = field(default_factory=list)
    set_aside: list[str] = field(default_factory=list)
    left: list[dict[str, str]] = field(default_factory=list)
    drafts: int = 0
    candles: int = 0
    calls: int = 0
    unknown: list[dict[str, Any]] = field(default_factory=list)
    failures: list[dict[str, str]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return what programs read."""
        return {
            "adopted": self.adopted,
            "setAside": self.set_aside,
            "left": self.left,
            "drafts": self.drafts,
            "candles": self.candles,
            "candleCalls": self.calls,
            "unknown": self.unknown,
            "failures": self.failures,
        }


class HistoryRepair:
    """Sets damaged files aside, adopts sound ones, and fetches exactly what was lost.

    Whoever repairs has the turn to write; `may_write` raises where it was lost. What is damaged is
    never adopted, however sound it looks: its digest says that it is not what was written.
    """

    def __init__(self, place: Place, exchange: Exchange, may_write: Callable[[], None]):
        self._place = place
        self._exchange = exchange
        self._may_write = may_write
        self._manifest = Manifest(place.id(), exchange)
        self.report = RepairReport(drafts=place.clear_drafts(folder_of(exchange)))

    def settle(self, differences: Iterable[Difference]) -> Lost:
        """Set aside and adopt; return which stretches nobody knows any more."""
        lost: dict[Pair, list[Interval]] = {}
        by_path = {each.path: each for each in differences if each.kind is not Kind.ELSEWHERE}
        for path, each in by_path.items():
            self._may_write()
            if each.kind is Kind.UNKNOWN:
                self._adopt(path)
            elif each.file is not None:
                pair = Pair(each.file.pair.symbol, Timeframe(each.file.pair.timeframe))
                lost.setdefault(pair, []).extend(self._set_aside(each.file))
        return {pair: union(stretches) for pair, stretches in lost.items()}

    def fetch(
        self, rest: VenueRest, lost: Lost, on_stretch: Callable[[int, int, RepairReport], None]
    ) -> None:
        """Fetch what was lost, days first: they tell when a symbol began."""
        stretches = [
            (pair, stretch)
            for pair in sorted(lost, key=lambda each: LONGEST_FIRST.index(each.timeframe))
            for stretch in lost[pair]
        ]
        store = HistoryStore(self._place, self._exchange, may_write=self._may_write)
        for done, (pair, stretch) in enumerate(stretches, start=1):
            self._may_write()
            self._fetch(store, rest, pair, stretch)
            on_stretch(done, len(stretches), self.report)

    def _fetch(self, store: HistoryStore, rest: VenueRest, pair: Pair, stretch: Interval) -> None:
        whole_days = Timeframe.D1.floor(stretch[0]), stretch[1]
        filling = HistoryFilling(store, rest, [pair.symbol], [pair.timeframe], whole_days)
        found = filling.fill(lambda _done, _total, _report: self._may_write())
        self.report.candles += found.candles
        self.report.calls = rest.candle_calls
        self.report.failures += found.failures
        self.report.unknown += found.unknown

    def _set_aside(self, file: HistoryFile) -> Coverage:
        """Move a file away and forget its month; return what is to be fetched again."""
        logger.warning("history.damaged path=%s", file.path)
        set_aside(self._place, file.path)
        self.report.set_aside.append(file.path)
        return self._manifest.forget(file)

    def _adopt(self, path: str) -> None:
        """Know a file from now on, where it is sound and somebody says what it covers."""
        content = self._place.read(path)
        if content is None:
            return
        try:
            rows, covered = self._covered(path, content)
        except (BadPayload, ValueError) as error:
            self.report.left.append({"path": path, "text": str(error)})
            return
        self._manifest.adopt(path, content, rows, covered)
        self.report.adopted.append(path)
        logger.info("history.adopted path=%s rows=%d", path, rows)

    def _covered(self, path: str, content: bytes) -> tuple[int, Coverage]:
        """Return how many rows a file has, and of what they are all.

        Raises ValueError or BadPayload, with a line, where that can't be known.
        """
        pair, month = read_path(path)
        known = self._said_elsewhere(path, content)
        table, covered = contents.taken_up(content, self._exchange.name, pair, month, known)
        return table.num_rows, covered

    def _said_elsewhere(self, path: str, content: bytes) -> Coverage:
        """Return what another place's manifest says of the very same file."""
        digest = digest_of(content)
        return union(
            stretch
            for file in self._manifest.files_elsewhere()
            if (file.path, file.digest) == (path, digest)
            for stretch in intersect(coverage_of(file.pair.coverage), (file.interval,))
        )


def remaining(differences: Sequence[Difference], report: RepairReport) -> list[Difference]:
    """Return what was found and is not mended: files that were left, and what another place had."""
    left = {each["path"] for each in report.left}
    gone = set(report.adopted)
    return [
        each
        for each in differences
        if each.path in left or (each.kind is Kind.ELSEWHERE and each.path not in gone)
    ]
