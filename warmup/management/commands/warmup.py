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
from livermore.command import LivermoreCommand
from warmup.management.commands.repair import repair
from warmup.plan import plan_warmup
from warmup.runner.hand_over import under_lock
from warmup.service import SmartWarmupService
from warmup.terminal import WarmupProgress, print_plan, print_report, print_summary


class Command(LivermoreCommand):
    help = (
        "Fill the cache of an exchange: fetch the newest 100 closed candles of every pair "
        "(a symbol in a timeframe) that has fewer than 60, and nothing else. "
        "Run it again at any time: what is there is not fetched again. "
        "Exit status: 0 done, 1 something failed, 2 wrong usage."
    )

    def add_arguments(self, parser):
        add_pairs(parser)
        parser.add_argument(
            "--plan",
            action="store_true",
            help="change nothing and fetch nothing: say what would be fetched and what it costs; "
            "the exchange is asked for its time at the most",
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
        if not options["plan"]:
            ensure_listing(exchange)
        symbols = symbols_to_fetch(exchange, options["symbols"])
        if options["plan"]:
            self._plan(redis, exchange, symbols, timeframes, options)
            return
        Announcer(redis).step()
        result = self._warm(redis, exchange, symbols, timeframes)
        if not options["json"]:
            print_summary(exchange.name, result, self.stdout)
        if options["repair"]:
            result["repair"] = repaired = repair(redis, exchange, symbols, timeframes, self.stderr)
            if not options["json"]:
                print_report(exchange.name, "repaired", repaired, self.stdout)
        if options["json"]:
            self.stdout.write(json.dumps(result, indent=2))
        if result["stats"]["failedPairs"] or result.get("repair", {}).get("failures"):
            raise SystemExit(1)

    def _plan(self, redis, exchange, symbols, timeframes, options):
        with closing(open_rest(exchange)) as rest:
            plan = plan_warmup(redis, rest, symbols, timeframes, with_repair=options["repair"])
        if options["json"]:
            self.stdout.write(json.dumps(plan.as_json(), indent=2))
        else:
            print_plan(plan, options["repair"], self.stdout)

    def _warm(self, redis, exchange, symbols, timeframes):
        def work(cache, tell):
            with closing(open_rest(exchange)) as rest:
                service = SmartWarmupService(
                    redis,
                    exchange.pk,
                    rest,
                    on_progress=lambda stats: tell(stats.as_json()),
                    cache=cache,
                )
                schedule = service.warmup(symbols, timeframes)
                return {
                    "schedule": schedule.as_json(),
                    "stats": service.stats.as_json(),
                    "candleCalls": rest.candle_calls,
                }

        arguments = {"symbols": symbols, "timeframes": timeframes}
        with WarmupProgress(exchange.name, self.stderr) as show:
            return under_lock(redis, exchange, "warmup", arguments, work, show, self.stderr.write)
