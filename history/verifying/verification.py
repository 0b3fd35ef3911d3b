"""Reading all of a manifest and all files, and naming each difference between them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from exchanges.errors import BadPayload
from exchanges.models import Exchange
from history.manifest import Manifest, coverage_of, digest_of, folder_of
from history.models import HistoryFile
from history.months import Month
from history.places.place import Place
from history.verifying import contents
from history.verifying.difference import Difference, Kind
from livermore.market.coverage import intersect, subtract
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe

LOOKS = 5  # at a file that somebody writes meanwhile


@dataclass(slots=True)
class VerifyReport:
    """What was read, and what is not as it should be; `settled` are writes that were cut off."""

    files: int = 0
    rows: int = 0
    bytes: int = 0
    settled: int = 0
    differences: list[Difference] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return what programs read."""
        return {
            "files": self.files,
            "rows": self.rows,
            "bytes": self.bytes,
            "settled": self.settled,
            "differences": [each.as_json() for each in self.differences],
        }


class Verification:
    """Compares what the manifest says of an exchange's history with each file in a place.

    It changes nothing but this: of a file that was written and not yet said to be there, as its
    writer ended in between, it says so. Others may write meanwhile.
    """

    def __init__(self, place: Place, exchange: Exchange):
        self._place = place
        self._manifest = Manifest(place.id(), exchange)
        self._below = folder_of(exchange)

    def run(self, on_file: Callable[[int, int, VerifyReport], None]) -> VerifyReport:
        """Read all; `on_file` is told how many files were read, of how many."""
        report = VerifyReport()
        # Before the manifest, which knows each file before it is there.
        unknown = set(self._place.paths(self._below))
        known = self._manifest.files()
        for done, file in enumerate(known, start=1):
            unknown.discard(file.path)
            report.differences += self._look(file, report)
            on_file(done, len(known), report)
        for path in sorted(unknown):
            text = "the manifest does not know this file"
            report.differences.append(Difference(Kind.UNKNOWN, path, text))
        report.differences += self._elsewhere()
        return report

    def _look(self, file: HistoryFile, report: VerifyReport) -> list[Difference]:
        """Return what is wrong with a file; it is looked at again while somebody changes it."""
        found: list[Difference] = []
        for _ in range(LOOKS):
            before = _state(file)
            content = self._place.read(file.path)
            if content is not None and self._manifest.settle(file, content):
                report.settled += 1
            found = list(self._faults(file, content))
            if not found:
                break
            file.refresh_from_db()
            file.pair.refresh_from_db()
            if _state(file) == before:
                break
        if content is not None:
            report.files, report.bytes = report.files + 1, report.bytes + len(content)
            report.rows += file.rows
        return found

    def _faults(self, file: HistoryFile, content: bytes | None) -> Iterator[Difference]:
        if content is None:
            if file.digest:
                yield Difference(Kind.MISSING, file.path, "there is no such file", file)
            return
        if not file.digest:
            text = "the manifest does not know what this file holds"
            yield Difference(Kind.UNKNOWN, file.path, text, file)
            return
        if digest_of(content) != file.digest:
            text = f"its digest is {digest_of(content)[:12]}…, not {file.digest[:12]}…"
            yield Difference(Kind.ALTERED, file.path, text, file)
            return
        for kind, text in _faults_inside(file, content):
            yield Difference(kind, file.path, text, file)

    def _elsewhere(self) -> Iterator[Difference]:
        """Yield the files of other places' manifests whose months this place does not cover."""
        for file in self._manifest.files_elsewhere():
            covered = intersect(coverage_of(file.pair.coverage), (file.interval,))
            pair = Pair(file.pair.symbol, Timeframe(file.pair.timeframe))
            if subtract(covered, self._manifest.coverage(pair)):
                text = f"another place had it (its id is {file.pair.store[:12]}…)"
                yield Difference(Kind.ELSEWHERE, file.path, text, file)


def _state(file: HistoryFile) -> tuple:
    return file.digest, file.next_digest, file.pair.coverage


def _faults_inside(file: HistoryFile, content: bytes) -> Iterator[tuple[Kind, str]]:
    """Yield what is wrong in a file that is what was written."""
    try:
        table, said = contents.read(content)
    except BadPayload as error:
        yield Kind.UNREADABLE, str(error)
        return
    if (table.num_rows, len(content)) != (file.rows, file.size):
        found = f"{table.num_rows:,} rows in {len(content):,} bytes"
        yield Kind.COUNT, f"{found}, not {file.rows:,} in {file.size:,}"
    covered = coverage_of(file.pair.coverage)
    timeframe, month = Timeframe(file.pair.timeframe), Month.named(file.month)
    yield from contents.faults(table, timeframe, month, covered)
    if said and (text := contents.other_coverage(said, covered, month.interval)):
        yield Kind.COVERAGE, text
