import json
from contextlib import closing

from django_redis import get_redis_connection

from exchanges.adapters import open_rest
from exchanges.redis.installation import Announcer
from livermore.arguments import add_pairs, exchange_named, symbols_to_fetch, timeframes_named
from livermore.command import LivermoreCommand
from warmup.repair import CandleRepair
from warmup.runner.hand_over import under_lock
from warmup.terminal import CountProgress, print_report


class Command(LivermoreCommand):
    help = (
        "Fetch what the cache of an exchange is missing, by what it knows to be complete and not "
        "by counting: holes, and the candles since the last run. "
        "Exit status: 0 done, 1 something failed, 2 wrong usage."
    )

    def add_arguments(self, parser):
        add_pairs(parser)
        parser.add_argument("--json", action="store_true", help="print the result as JSON")

    def handle(self, **options):
        exchange = exchange_named(options["exchange"])
        timeframes = timeframes_named(options["timeframes"])
        symbols = symbols_to_fetch(exchange, options["symbols"])
        redis = get_redis_connection("default")
        Announcer(redis).step()
        report = repair(redis, exchange, symbols, timeframes, self.stderr)
        if options["json"]:
            self.stdout.write(json.dumps(report, indent=2))
        else:
            print_report(exchange.name, "repaired", report, self.stdout)
        if report["failures"]:
            raise SystemExit(1)


def repair(redis, exchange, symbols, timeframes, stream):
    """Repair with a progress bar on `stream`; return the report."""

    def work(cache, tell):
        with closing(open_rest(exchange)) as rest:
            report = CandleRepair(redis, exchange.pk, rest, cache=cache).repair(
                symbols,
                timeframes,
                on_pair=lambda done, total: tell({"done": done, "total": total}),
            )
            return report.as_json() | {"candleCalls": rest.candle_calls}

    arguments = {"symbols": symbols, "timeframes": timeframes}
    with CountProgress(f"repairing {exchange.name}", stream) as show:
        return under_lock(redis, exchange, "repair", arguments, work, show, stream.write)
