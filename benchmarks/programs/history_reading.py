"""What a notebook waits for that reads files of history: `history_reading.py URL FOLDER EXCHANGE`.

It knows the reader alone, and prints what it found as JSON, in milliseconds.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator

import livermore_reader

PAIR = ("BTC-USD", "1m")
RUNS = 5
MONTH = {"start": "2024-01-01", "end": "2024-02-01"}
YEARS = {"start": "2024-01-01", "end": "2026-01-01"}
TARGETS = {"month": 15, "years": 400}


def measure(url: str, folder: str, exchange: str) -> Iterator[dict]:
    which = (exchange, *PAIR)

    def ask(name: str, **how: str) -> int:
        """Ask a reader that has read nothing yet."""
        with livermore_reader.connect(url, history=folder) as lm:
            return len(getattr(lm, name)(*which, strict=True, **how))

    minutes = ask("candles", **YEARS)
    what = "a month of minutes by the reader, as a DataFrame"
    yield ms(what, lambda: ask("candles", **MONTH), "month")
    what = f"two years of them ({minutes:,}) by the reader, as a DataFrame"
    yield ms(what, lambda: ask("candles", **YEARS), "years")
    yield ms("the same with ten columns", lambda: ask("candles", **YEARS, columns="all"))
    yield ms("the same as a frame of polars", lambda: ask("polars", **YEARS))
    yield ms("the same as an Arrow table", lambda: ask("arrow", **YEARS))
    yield ms("the same as rows of numbers", lambda: ask("rows", **YEARS))


def ms(what: str, do: Callable[[], object], target: str = "") -> dict:
    """Return the median of some runs, each of which reads its files anew."""
    runs, used = [], []
    for _ in range(RUNS):
        begun, before = time.perf_counter(), time.process_time()
        do()
        runs.append(1000 * (time.perf_counter() - begun))
        used.append(1000 * (time.process_time() - before))
    note = f"{RUNS} runs, {min(runs):.3g} to {max(runs):.3g} ms; {min(used):.0f} ms of a core"
    at_most = TARGETS.get(target)
    return {"what": what, "value": statistics.median(runs), "at_most": at_most, "note": note}


if __name__ == "__main__":
    print(json.dumps(list(measure(*sys.argv[1:]))))
