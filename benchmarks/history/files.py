"""What a month's file takes to keep, to write and to read, and two years of them as a frame."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlencode
from urllib.request import urlopen

from django.conf import settings

from benchmarks.fixtures.bench import Bench
from benchmarks.history.candles import PAIR, START, shifted
from benchmarks.measurement import Measurement
from benchmarks.serving.cores import Cores
from benchmarks.serving.servers import serve
from exchanges.models import Exchange
from exchanges.redis.directory import publish_exchanges
from history import parquet
from history.models import HistoryFile
from history.months import Month
from history.places.folder import Folder
from history.store.store import HistoryStore
from livermore.market.candle import Candle

BYTES_A_CANDLE, MONTH_MS, TWO_YEARS_MS = 30, 15, 400
MOST_MB, MB = 300, 1_000_000
MONTHS = 24
RUNS = 5


def measure(bench: Bench, place: Folder, candles: list[Candle]) -> Iterator[Measurement]:
    exchange, _ = bench.exchange(1)
    store, months = HistoryStore(place, exchange), [START]
    while len(months) < MONTHS:
        months.append(months[-1].next)
    took = []
    for month in months:
        rows = shifted(candles, *month.interval)
        began = time.perf_counter()
        store.write(PAIR, rows, (month.interval,))
        took.append(1000 * (time.perf_counter() - began))
    file = HistoryFile.objects.first()
    note = f"{file.rows:,} minutes with ten numbers each, {file.size / 1e6:.2f} MB"
    yield Measurement("bytes of a candle", file.size / file.rows, "", BYTES_A_CANDLE, note)
    yield Measurement("writing that month, new", statistics.median(took), "ms")
    yield _median("reading that month", MONTH_MS, lambda: _read(store, [START]))
    what = f"two years of minutes ({sum(_counts()):,}) as a DataFrame"
    yield _median(what, TWO_YEARS_MS, lambda: _read(store, months).to_pandas())
    yield from _by_the_reader(bench, place, exchange)
    yield from _by_the_command(bench, exchange)
    yield from _by_serve(bench, exchange, months)
    after = months[-1].interval
    last = store.read(PAIR, after[1] - PAIR.timeframe.ms, after[1]).rows
    changed = [Candle.of_values([*row[:5], row[5] + 1, *row[6:]], PAIR.timeframe) for row in last]
    began = time.perf_counter()
    store.write(PAIR, changed, ((after[1] - PAIR.timeframe.ms, after[1]),))
    yield Measurement("writing it again for a bar", 1000 * (time.perf_counter() - began), "ms")


def _by_the_reader(bench: Bench, place: Folder, exchange: Exchange) -> Iterator[Measurement]:
    """Measure it in a process of its own, which knows nothing of Livermore."""
    exchange.symbols.update(is_monitored=True)
    publish_exchanges(bench.redis)
    program = settings.BASE_DIR / "benchmarks/programs/history_reading.py"
    done = subprocess.run(
        [sys.executable, program, settings.REDIS_URL, str(place), exchange.name],
        env=os.environ | {"PYTHONPATH": str(settings.BASE_DIR / "reader")},
        capture_output=True,
        text=True,
    )
    assert not done.returncode, done.stderr
    for found in json.loads(done.stdout):
        yield Measurement(**found, unit="ms")


def _by_the_command(bench: Bench, exchange: Exchange) -> Iterator[Measurement]:
    """Write all of it into files, which are written a month at a time."""
    with tempfile.TemporaryDirectory(prefix="livermore-candles-") as folder:
        for kind in ("csv", "parquet"):
            target = [f"--{kind}", f"{folder}/all.{kind}"]
            ran = bench.manage("candles", exchange.name, *PAIR, *target)
            what = f"`candles --{kind}` of two years of minutes"
            note = f"{ran.cpu_seconds:.1f} s of a core"
            yield Measurement(what, ran.seconds, "s", note=note)
            yield Measurement("the most memory of that", ran.memory_bytes / MB, "MB", MOST_MB)


def _by_serve(bench: Bench, exchange: Exchange, months: list[Month]) -> Iterator[Measurement]:
    """Page through all of it over HTTP, as the reader does."""
    cores = Cores()
    with cores.others(bench.redis.info("server")["process_id"]), serve(cores) as server:
        pages, memory, at = 0, 0, months[0].start_ms
        began = time.perf_counter()
        while at is not None and at < months[-1].next.start_ms:
            asked = {"exchange": exchange.name, "symbol": PAIR.symbol, "timeframe": "1m"}
            told = _get(server.port, asked | {"start": at, "limit": 1000, "partial": 1})
            at, pages = told["next"], pages + 1
            memory = max(memory, server.memory_bytes())
        seconds = time.perf_counter() - began
        used = server.cpu_seconds()
    what = f"two years of minutes from `serve`, {pages:,} pages"
    note = f"{1000 * used / pages:.1f} ms of a core each"
    yield Measurement(what, 1000 * seconds / pages, "ms a page", note=note)
    yield Measurement("the most memory of that", memory / MB, "MB", MOST_MB)


def _get(port: int, asked: dict) -> dict:
    url = f"http://127.0.0.1:{port}/v1/candles?{urlencode(asked)}"
    with urlopen(url, timeout=60) as answer:
        return json.load(answer)


def _counts() -> list[int]:
    return list(HistoryFile.objects.values_list("rows", flat=True))


def _read(store: HistoryStore, months: list[Month]):
    parts = store.parts(PAIR, months[0].start_ms, months[-1].next.start_ms)
    return parquet.library().concat_tables([part.table for part in parts])


def _median(what: str, at_most: float, work: Callable[[], object]) -> Measurement:
    took = []
    for _ in range(RUNS):
        began = time.perf_counter()
        work()
        took.append(1000 * (time.perf_counter() - began))
    note = f"{RUNS} runs, {min(took):.3g} to {max(took):.3g} ms"
    return Measurement(what, statistics.median(took), "ms", at_most, note)
