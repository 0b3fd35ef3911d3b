"""What docs/history.md shows of other tools, run as it stands there, and beside the truth."""

from contextlib import chdir
from datetime import UTC
from math import fsum, isclose

from livermore.market.timeframe import LONGEST_FIRST, Timeframe
from tests.reader.documents.test_recipes import blocks, run
from tests.warmup.runners import ROOT

SYMBOL = "BTC-USD"  # of the document, as its timeframe
OF_THE_DOCUMENT = "timeframe=1h"
HIGH, CLOSE, VOLUME = 2, 4, 5


def faults_of_tools(comparison, folder, timeframes=LONGEST_FIRST):
    """Yield what pandas, polars and DuckDB read otherwise than it is, below `var/` of a folder."""
    text = (ROOT / "docs/history.md").read_text()
    codes = blocks("With any tool", text=text)
    pair = next(each for each in comparison.pairs if each.symbol == SYMBOL)
    for timeframe in timeframes:
        rows = comparison.true_rows(pair._replace(timeframe=timeframe))
        with chdir(folder):
            named = [run(code.replace(OF_THE_DOCUMENT, f"timeframe={timeframe}")) for code in codes]
        by_pandas, by_polars, by_duckdb = named
        for tool, frame in (("pandas", by_pandas["df"]), ("polars", by_polars["df"])):
            closes = [row[CLOSE] for row in rows]
            if list(frame["close"]) != closes:
                found = f"{len(frame)} rows, {fsum(frame['close'])} in all"
                yield f"{tool}, {timeframe}: {found} and not {len(rows)}, {fsum(closes)}"
        yield from _faults_of_days(by_duckdb["days"], rows, timeframe)


def _faults_of_days(found, rows, timeframe):
    by_day = {}
    for row in rows:
        by_day.setdefault(Timeframe.D1.floor(row[0]), []).append(row)
    expected = [
        (day, max(row[HIGH] for row in part), fsum(row[VOLUME] for row in part))
        for day, part in sorted(by_day.items())
    ]
    told = [(int(day.astimezone(UTC).timestamp() * 1000), *rest) for day, *rest in found]
    if [each[:2] for each in told] != [each[:2] for each in expected]:
        yield f"duckdb, {timeframe}: {len(told)} days, not {len(expected)}, or other highs"
    elif not all(isclose(one[2], other[2]) for one, other in zip(told, expected, strict=True)):
        yield f"duckdb, {timeframe}: other volumes"
