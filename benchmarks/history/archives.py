"""How fast bulk files become history, and what memory that takes, however long it is."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings

from benchmarks.fixtures.bench import Bench, free_port
from benchmarks.history.places import history_in_a_folder
from benchmarks.measurement import Measurement
from history.models import HistoryFile, PairHistory
from history.months import Month
from livermore.market.timeframe import Timeframe
from livermore.running.children import Child, Children

SYMBOLS, LISTED = 100, 120
FIRST, MONTHS = Month(2025, 7), 12
CANDLES_A_SECOND = 1_500_000
MOST_MB = 300
MB = 1_000_000


def measure(bench: Bench) -> Iterator[Measurement]:
    """Fill a year of minutes from files that another process serves, then verify it."""
    months = [FIRST]
    while len(months) < MONTHS:
        months.append(months[-1].next)
    until = months[-1].next
    PairHistory.objects.all().delete()
    with history_in_a_folder(), _archive(FIRST, MONTHS) as url:
        exchange, symbols = bench.exchange(LISTED, url)
        exchange.archive_url = url
        exchange.save()
        stretch = ["--since", f"{FIRST}-01", "--until", f"{until}-01", "--timeframes", "1m"]
        chosen = ["--symbols", ",".join(symbols[:SYMBOLS])]
        seconds, memory, cpu = bench.manage("history", exchange.name, *stretch, *chosen)
        files = HistoryFile.objects.filter(pair__timeframe=Timeframe.M1)
        candles = sum(files.values_list("rows", flat=True))
        assert candles == SYMBOLS * (until.start_ms - FIRST.start_ms) // Timeframe.M1.ms
        what = f"from bulk files: {SYMBOLS} symbols x {MONTHS} months of minutes"
        note = f"{candles:,} candles in {seconds:.1f} s, {cpu:.1f} s of a core"
        yield Measurement(what, candles / seconds, "/s", note=note, at_least=CANDLES_A_SECOND)
        yield Measurement("the most memory of that", memory / MB, "MB", MOST_MB)
        seconds, memory, cpu = bench.manage("history", exchange.name, "--verify")
        what = f"verifying its {files.count():,} files"
        note = f"{candles / seconds:,.0f} candles a second, {cpu:.1f} s of a core"
        yield Measurement(what, seconds, "s", note=note)
        yield Measurement("the most memory of that", memory / MB, "MB", MOST_MB)


@contextmanager
def _archive(first: Month, months: int) -> Iterator[str]:
    """Serve bulk files, and the same over REST, from a process of its own."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    arguments = ["benchmarks.programs.archive_server", str(port), str(first), str(months)]
    log = Path(tempfile.gettempdir()) / "archive.log"
    children = Children(print)
    try:
        children.start(Child("archive", arguments, f"{url}/time", log, settings.BASE_DIR))
        yield url
    finally:
        children.stop()
