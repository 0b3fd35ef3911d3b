import time
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO, cast

from django.core.management import CommandError
from django_redis import get_redis_connection
from rich.console import Console

from exchanges.lock.status import read_exchange_time
from exchanges.venues import VENUES
from history import parquet
from history.export.chosen import Chosen, Wanted
from history.export.writers import (
    CsvWriter,
    JsonWriter,
    ParquetWriter,
    TableWriter,
    into_file,
    utc,
)
from history.planning.report import TOO_OLD
from history.reading import Reading, cached_in, open_store
from livermore.arguments import add_exchange, exchange_named, moment_named, symbols_named
from livermore.command import LivermoreCommand, UsageError
from livermore.market.candle import EARLIEST_MS, LATEST_MS
from livermore.market.coverage import oldest_told_ms
from livermore.market.derived import BY_TEXT, base_of
from livermore.market.timeframe import Timeframe
from warmup.cache.candles import CandleCache
from warmup.terminal import Verbatim

STDOUT = "-"
COUNT = 20  # rows of a table where nothing is said
MOST_COUNT = 20_000_000  # 38 years of minutes
MISSING_SHOWN = 5


class Command(LivermoreCommand):
    help = (
        "Show a pair's closed candles, as the cache and history have them together, or write them "
        "as CSV, JSON or Parquet. What is missing of what was asked for is said on the error "
        "stream. Exit status: 0 done, 1 something is missing and --strict, 2 wrong usage."
    )

    def add_arguments(self, parser):
        add_exchange(parser)
        parser.add_argument("symbol", help="such as BTC-USD")
        parser.add_argument("timeframe", help=f"one of {' '.join(BY_TEXT)}")
        parser.add_argument(
            "--since", metavar="2023-01-01", help="the first moment, in UTC where it names no zone"
        )
        parser.add_argument(
            "--until", metavar="2024-01-01T12:00", help="the moment before which it ends"
        )
        parser.add_argument(
            "--count",
            type=int,
            metavar="N",
            help="so many: the newest, or with --since the oldest "
            f"(default: all, and {COUNT} in a table without --since)",
        )
        parser.add_argument(
            "--csv", nargs="?", const=STDOUT, metavar="FILE", help="as CSV; no file: to the output"
        )
        parser.add_argument("--parquet", metavar="FILE", help="as a Parquet file")
        parser.add_argument("--json", action="store_true", help="as JSON")
        parser.add_argument(
            "--live", action="store_true", help="the open candle too, which changes still"
        )
        parser.add_argument(
            "--strict", action="store_true", help="end with 1 where something is missing"
        )

    def handle(self, **options):
        timeframe, wanted = _timeframe(options), _wanted(options)
        exchange = exchange_named(options["exchange"])
        (symbol,) = symbols_named(exchange, options["symbol"].replace(",", " "))
        redis = get_redis_connection("default")
        cache = CandleCache(redis, exchange.pk)
        lag_ms = VENUES[exchange.venue].lag_ms if exchange.venue in VENUES else LATEST_MS
        reading = Reading(open_store(exchange), symbol, cached_in(cache, symbol, lag_ms))
        now_ms = read_exchange_time(redis, exchange.pk) or int(time.time() * 1000)
        chosen = Chosen(reading, timeframe, wanted, now_ms)
        said = {"exchange": exchange.name, "symbol": symbol, "timeframe": str(timeframe)}

        def fill(writer):
            for rows in chosen.pages():
                writer.write(rows)
            open_rows = []
            if options["live"] and chosen.opens_after:
                candle = cache.live(symbol, timeframe)
                if candle and candle.timestamp == timeframe.floor(now_ms):
                    open_rows = [candle.row()]
            writer.write(open_rows)
            writer.end(said | _told(chosen) | ({"open": open_rows[0]} if open_rows else {}))

        self._write(fill, " ".join(said.values()), options)
        told_ms = oldest_told_ms(base_of(timeframe), now_ms, exchange.depth_rows)
        self._say_missing(chosen, told_ms)
        if options["strict"] and chosen.missing:
            raise SystemExit(1)

    def _write(self, fill, title, options):
        stream = cast(TextIO, Verbatim(self.stdout))
        if options["parquet"]:
            parquet.library()
            with writing(options["parquet"]) as path:
                into_file(path, ParquetWriter, fill)
        elif options["csv"] and options["csv"] != STDOUT:
            with writing(options["csv"]) as path:
                with_stream(path, fill)
        elif options["csv"]:
            fill(CsvWriter(stream))
        elif options["json"]:
            fill(JsonWriter(stream))
        else:
            fill(TableWriter(Console(file=stream), title))

    def _say_missing(self, chosen, told_ms):
        missing = chosen.missing
        for start_ms, end_ms in missing[:MISSING_SHOWN]:
            lost = f"; not to be had before {utc(told_ms)}: {TOO_OLD}" * (start_ms < told_ms)
            self.stderr.write(f"missing: {utc(start_ms)} to {utc(end_ms)}{lost}")
        if len(missing) > MISSING_SHOWN:
            self.stderr.write(f"… and {len(missing) - MISSING_SHOWN} more stretches")
        if not chosen.rows and not missing:
            self.stderr.write("there are none")


@contextmanager
def writing(text):
    """Give the path of a file; one line where it can't be written."""
    path = Path(text)
    try:
        yield path
    except OSError as error:
        raise CommandError(f"{text} can't be written: {error.strerror or error}") from error


def _check_file(text, option):
    path = Path(text)
    if not text:
        raise UsageError(f"{option} names no file")
    if path.is_dir():
        raise UsageError(f"{option}: {text} is a folder: name a file")
    if not path.parent.is_dir():
        raise UsageError(f"{option}: there is no folder {path.parent}")


def with_stream(path, fill):
    """Write a file of text, whole or not at all."""

    def make(draft):
        return draft.open("w", encoding="utf-8", newline="")

    def fill_stream(stream):
        with stream:
            fill(CsvWriter(stream))

    into_file(path, make, fill_stream)


def _told(chosen):
    missing = chosen.missing
    return {
        "complete": not missing,
        "missing": [list(each) for each in missing],
        "source": chosen.source,
    }


def _timeframe(options):
    found = BY_TEXT.get(options["timeframe"])
    if found is None:
        known = " ".join(BY_TEXT)
        raise UsageError(f"unknown timeframe {options['timeframe']!r}; known are: {known}")
    if options["live"] and not isinstance(found, Timeframe):
        raise UsageError(f"--live: {found} is made of closed candles alone; take its {found.base}")
    if options["live"] and options["parquet"]:
        raise UsageError("--live: a Parquet file takes closed candles alone")
    return found


def _moment(text, option):
    found_ms = moment_named(text, option)
    if found_ms is not None and found_ms < EARLIEST_MS:
        raise UsageError(f"{option} {text} is before there was anything to trade")
    if found_ms is not None and found_ms >= LATEST_MS:
        raise UsageError(f"{option} {text} is not of this century")
    return found_ms


def _wanted(options):
    for name in ("csv", "parquet"):
        if options[name] not in (None, STDOUT):
            _check_file(options[name], f"--{name}")
    if sum(bool(options[name]) for name in ("csv", "parquet", "json")) > 1:
        raise UsageError("--csv, --parquet and --json: one of them at a time")
    start_ms, end_ms = (_moment(options[name], f"--{name}") for name in ("since", "until"))
    if start_ms is not None and end_ms is not None and start_ms >= end_ms:
        raise UsageError(f"--until {options['until']} is not after --since {options['since']}")
    count = options["count"]
    if count is not None and not 1 <= count <= MOST_COUNT:
        raise UsageError(f"--count is 1 to {MOST_COUNT:,}, not {count}")
    is_table = not (options["csv"] or options["parquet"] or options["json"])
    if count is None and start_ms is None and is_table:
        count = COUNT
    return Wanted(start_ms, end_ms, count)
