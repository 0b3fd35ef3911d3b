import json
from contextlib import closing

from django_redis import get_redis_connection

from exchanges.adapters import open_rest
from exchanges.redis.installation import Announcer
from livermore.arguments import (
    add_pairs,
    ensure_listing,
    exchange_named,
    symbols_to_fetch,
    timeframes_named,
)
from livermore.command import LivermoreCommand, UsageError
from warmup.backfill import DEFAULT_TIMEFRAMES, BackfillConfig, StartupBackfillService
from warmup.cache.candles import CANDLES_KEPT
from warmup.runner.hand_over import under_lock
from warmup.terminal import CountProgress, print_report


class Command(LivermoreCommand):
    help = (
        "Fetch the newest candles of some symbols whatever is cached, five pairs and then a "
        "second's pause: to force a refresh, or for symbols just added. "
        "Exit status: 0 done, 1 something failed, 2 wrong usage."
    )

    def add_arguments(self, parser):
        add_pairs(parser, symbols="needed", timeframes="all but 1m")
        parser.add_argument(
            "--count", type=int, default=100, help="candles a pair, 1 to 1000 (default: 100)"
        )
        parser.add_argument("--json", action="store_true", help="print the result as JSON")

    def handle(self, **options):
        if not 1 <= options["count"] <= CANDLES_KEPT:
            raise UsageError(f"--count is 1 to {CANDLES_KEPT}, not {options['count']}")
        if options["symbols"] is None:
            raise UsageError("--symbols is needed: say which, as in --symbols BTC-USD,ETH-USD")
        exchange = exchange_named(options["exchange"])
        named = options["timeframes"]
        ensure_listing(exchange)
        timeframes = DEFAULT_TIMEFRAMES if named is None else timeframes_named(named)
        symbols = symbols_to_fetch(exchange, options["symbols"])
        report = self._backfill(exchange, symbols, timeframes, options["count"])
        if options["json"]:
            self.stdout.write(json.dumps(report, indent=2))
        else:
            print_report(exchange.name, "fetched", report, self.stdout)
        if report["failures"]:
            raise SystemExit(1)

    def _backfill(self, exchange, symbols, timeframes, count):
        redis = get_redis_connection("default")
        Announcer(redis).step()

        def work(cache, tell):
            with closing(open_rest(exchange)) as rest:
                config = BackfillConfig(candle_count=count)
                report = StartupBackfillService(rest, redis, config, cache=cache).backfill(
                    symbols,
                    timeframes,
                    on_pair=lambda done, total: tell({"done": done, "total": total}),
                )
                return report.as_json() | {"candleCalls": rest.candle_calls}

        arguments = {"symbols": symbols, "timeframes": timeframes, "count": count}
        with CountProgress(f"backfilling {exchange.name}", self.stderr) as show:
            return under_lock(
                redis, exchange, "force-backfill", arguments, work, show, self.stderr.write
            )
