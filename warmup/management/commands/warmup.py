import json

from django_redis import get_redis_connection

from exchanges.venues import open_rest
from livermore.arguments import (
    ensure_listing,
    exchange_named,
    symbols_to_fetch,
    timeframes_named,
)
from livermore.command import LivermoreCommand
from warmup.plan import plan_warmup
from warmup.repair import CandleRepair
from warmup.service import SmartWarmupService
from warmup.terminal import WarmupProgress, print_failures, print_plan, print_summary


class Command(LivermoreCommand):
    help = (
        "Fill the cache of an exchange: fetch the newest 100 closed candles of every pair "
        "(a symbol in a timeframe) that has fewer than 60, and nothing else. "
        "Run it again at any time: what is there is not fetched again. "
        "Exit status: 0 done, 1 something failed, 2 wrong usage."
    )

    def add_arguments(self, parser):
        parser.add_argument("exchange", help="name of the exchange's row, such as binance_us")
        parser.add_argument(
            "--symbols",
            metavar="A,B",
            help="these symbols, as in BTC-USD,ETH-USD (default: the monitored ones)",
        )
        parser.add_argument(
            "--timeframes", metavar="1d,1h", help="some of 1d 4h 1h 15m 5m 1m (default: all)"
        )
        parser.add_argument(
            "--plan",
            action="store_true",
            help="change nothing and fetch nothing: say what would be fetched and what it costs",
        )
        parser.add_argument(
            "--repair",
            action="store_true",
            help="then fetch what a count cannot see: holes, and candles since the last run",
        )
        parser.add_argument("--json", action="store_true", help="print the result as JSON")

    def handle(self, **options):
        exchange = exchange_named(options["exchange"])
        timeframes = timeframes_named(options["timeframes"])
        redis = get_redis_connection("default")
        rest = open_rest(exchange)
        try:
            if options["plan"]:
                self._plan(exchange, redis, rest, timeframes, options)
                return
            ensure_listing(exchange, rest)
            symbols = symbols_to_fetch(exchange, options["symbols"])
            self._warm(exchange, redis, rest, symbols, timeframes, options)
        finally:
            rest.close()

    def _plan(self, exchange, redis, rest, timeframes, options):
        symbols = symbols_to_fetch(exchange, options["symbols"])
        plan = plan_warmup(redis, rest, symbols, timeframes, with_repair=options["repair"])
        if options["json"]:
            self.stdout.write(json.dumps(plan.as_json(), indent=2))
        else:
            print_plan(plan, options["repair"], self.stdout)

    def _warm(self, exchange, redis, rest, symbols, timeframes, options):
        with WarmupProgress(exchange.name, self.stderr) as show:
            service = SmartWarmupService(redis, exchange.pk, rest, on_progress=show)
            schedule = service.warmup(symbols, timeframes)
        repaired = None
        if options["repair"]:
            repaired = CandleRepair(redis, exchange.pk, rest).repair(symbols, timeframes)
        if options["json"]:
            result = {"schedule": schedule.as_json(), "stats": service.stats.as_json()}
            result["candleCalls"] = rest.candle_calls
            self.stdout.write(json.dumps(result, indent=2))
        else:
            self._say(exchange, service.stats, repaired, rest.candle_calls)
        if service.stats.failed or (repaired and repaired.failures):
            raise SystemExit(1)

    def _say(self, exchange, stats, repaired, calls):
        print_summary(stats, calls, self.stdout)
        if not calls:
            self.stdout.write(
                f"{exchange.name} was warm already: {stats.skipped} pairs, zero REST candle calls"
            )
        if repaired:
            self.stdout.write(
                f"repaired {repaired.pairs} pairs in {repaired.ranges} stretches: "
                f"{repaired.candles} candles, {len(repaired.failures)} failed"
            )
            print_failures(repaired.failures, self.stdout)
