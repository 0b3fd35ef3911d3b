import json
from dataclasses import asdict

from django_redis import get_redis_connection

from exchanges.venues import open_rest
from livermore.arguments import exchange_named, symbols_to_fetch, timeframes_named
from livermore.command import LivermoreCommand
from warmup.repair import CandleRepair
from warmup.terminal import CountProgress, print_failures


class Command(LivermoreCommand):
    help = (
        "Fetch what the cache of an exchange is missing, by what it knows to be complete and not "
        "by counting: holes, and the candles since the last run. "
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
        parser.add_argument("--json", action="store_true", help="print the result as JSON")

    def handle(self, **options):
        exchange = exchange_named(options["exchange"])
        timeframes = timeframes_named(options["timeframes"])
        symbols = symbols_to_fetch(exchange, options["symbols"])
        rest = open_rest(exchange)
        try:
            repair = CandleRepair(get_redis_connection("default"), exchange.pk, rest)
            with CountProgress(f"repairing {exchange.name}", self.stderr) as on_pair:
                report = repair.repair(symbols, timeframes, on_pair=on_pair)
        finally:
            rest.close()
        if options["json"]:
            result = {**asdict(report), "candleCalls": rest.candle_calls}
            self.stdout.write(json.dumps(result, indent=2))
        else:
            self.stdout.write(
                f"{exchange.name}: repaired {report.pairs} pairs in {report.ranges} stretches, "
                f"{report.candles} candles by {rest.candle_calls} calls, "
                f"{report.refused} refused, {len(report.failures)} failed"
            )
            print_failures(report.failures, self.stdout)
        if report.failures:
            raise SystemExit(1)
