import json
from dataclasses import asdict

from django_redis import get_redis_connection

from exchanges.venues import open_rest
from livermore.arguments import (
    ensure_listing,
    exchange_named,
    symbols_to_fetch,
    timeframes_named,
)
from livermore.command import LivermoreCommand, UsageError
from warmup.backfill import BackfillConfig, StartupBackfillService
from warmup.cache import CANDLES_KEPT
from warmup.terminal import CountProgress, print_failures


class Command(LivermoreCommand):
    help = (
        "Fetch the newest candles of some symbols whatever is cached: to force a refresh, or for "
        "symbols just added. Exit status: 0 done, 1 something failed, 2 wrong usage."
    )

    def add_arguments(self, parser):
        parser.add_argument("exchange", help="name of the exchange's row, such as binance_us")
        parser.add_argument(
            "--symbols", metavar="A,B", required=True, help="the symbols, as in BTC-USD,ETH-USD"
        )
        parser.add_argument(
            "--timeframes", metavar="1d,1h", help="some of 5m 15m 1h 4h 1d 1m (default: not 1m)"
        )
        parser.add_argument(
            "--count", type=int, default=100, help="candles a pair, 1 to 1000 (default: 100)"
        )
        parser.add_argument("--json", action="store_true", help="print the result as JSON")

    def handle(self, **options):
        if not 1 <= options["count"] <= CANDLES_KEPT:
            raise UsageError(f"--count is 1 to {CANDLES_KEPT}, not {options['count']}")
        exchange = exchange_named(options["exchange"])
        named = options["timeframes"]
        timeframes = timeframes_named(named) if named is not None else None
        rest = open_rest(exchange)
        try:
            ensure_listing(exchange, rest)
            symbols = symbols_to_fetch(exchange, options["symbols"])
            config = BackfillConfig(candle_count=options["count"])
            service = StartupBackfillService(rest, get_redis_connection("default"), config)
            with CountProgress(f"backfilling {exchange.name}", self.stderr) as on_pair:
                report = service.backfill(symbols, timeframes, on_pair=on_pair)
        finally:
            rest.close()
        if options["json"]:
            result = {**asdict(report), "candleCalls": rest.candle_calls}
            self.stdout.write(json.dumps(result, indent=2))
        else:
            self.stdout.write(
                f"{exchange.name}: fetched {report.candles} candles of {report.pairs} pairs by "
                f"{rest.candle_calls} calls, {report.refused} refused, "
                f"{len(report.failures)} failed"
            )
            print_failures(report.failures, self.stdout)
        if report.failures:
            raise SystemExit(1)
