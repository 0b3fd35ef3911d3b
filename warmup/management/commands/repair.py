import json
from contextlib import closing

from django_redis import get_redis_connection

from exchanges.venues import open_rest
from livermore.arguments import add_pairs, exchange_named, symbols_to_fetch, timeframes_named
from livermore.command import LivermoreCommand
from warmup.repair import CandleRepair
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
        with closing(open_rest(exchange)) as rest:
            repair = CandleRepair(get_redis_connection("default"), exchange.pk, rest)
            with CountProgress(f"repairing {exchange.name}", self.stderr) as on_pair:
                report = repair.repair(symbols, timeframes, on_pair=on_pair)
        if options["json"]:
            result = report.as_json() | {"candleCalls": rest.candle_calls}
            self.stdout.write(json.dumps(result, indent=2))
        else:
            print_report(exchange.name, "repaired", report, rest.candle_calls, self.stdout)
        if report.failures:
            raise SystemExit(1)
