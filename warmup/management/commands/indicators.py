import json
import time

from django_redis import get_redis_connection

from exchanges.lock.status import read_exchange_time
from livermore.arguments import add_exchange, exchange_named, symbols_named, timeframes_named
from livermore.command import LivermoreCommand, UsageError
from livermore.market.indicators import Reason, Stage
from livermore.market.pair import pairs_of
from warmup.cache.candles import CandleCache
from warmup.cache.indicators import IndicatorCache
from warmup.scanner import MIN_CANDLE_THRESHOLD
from warmup.terminal import print_indicators

FIELDS = (
    *("timestamp", "value", "signal", "histogram", "ema12", "ema26", "atr", "stage"),
    *("nEff", "spanBars", "liquidity", "firstTimestamp", "lastTimestamp", "coverageComplete"),
)


class Command(LivermoreCommand):
    help = (
        "Print MACD-V of an exchange's monitored pairs, as the runner keeps it in Redis. "
        "Exit status: 0 done, 2 wrong usage."
    )

    def add_arguments(self, parser):
        add_exchange(parser)
        parser.add_argument("--symbols", metavar="A,B", help="these (default: the monitored ones)")
        parser.add_argument(
            *("--timeframe", "--timeframes"),
            metavar="1d,1h",
            help="some of 1d 4h 1h 15m 5m 1m (default: all)",
        )
        parser.add_argument(
            "--stage", metavar="STAGE", help=f"pairs in this stage alone: one of {' '.join(Stage)}"
        )
        parser.add_argument("--json", action="store_true", help="print what is stored as JSON")

    def handle(self, **options):
        exchange = exchange_named(options["exchange"])
        stage = stage_named(options["stage"])
        timeframes = timeframes_named(options["timeframe"])
        pairs = pairs_of(symbols_named(exchange, options["symbols"]), timeframes)
        redis = get_redis_connection("default")
        stored = IndicatorCache(redis, exchange.pk).read_many(pairs)
        counts = CandleCache(redis, exchange.pk).counts(pairs)
        values = [
            no_value(exchange.pk, *pair, count) | (value or {})
            for pair, value, count in zip(pairs, stored, counts, strict=True)
        ]
        if stage:
            values = [value for value in values if value["stage"] == stage]
        if options["json"]:
            self.stdout.write(json.dumps(values, indent=2))
        else:
            now_ms = read_exchange_time(redis, exchange.pk) or int(time.time() * 1000)
            print_indicators(exchange.name, values, now_ms, self.stdout)


def no_value(exchange_id, symbol, timeframe, count):
    """Return what is printed of a pair of which nothing is stored, with so many candles cached."""
    names = {"exchangeId": exchange_id, "symbol": symbol, "timeframe": timeframe}
    empty = dict.fromkeys(FIELDS)
    few = count < MIN_CANDLE_THRESHOLD
    reason = Reason.TOO_FEW_CANDLES if few else "not computed: no runner has it"
    return names | empty | {"reason": reason, "seeded": False}


def stage_named(text):
    """Return the stage of that name, None for None."""
    if text is None:
        return None
    if text.lower() not in list(Stage):
        raise UsageError(f"unknown stage {text!r}; known are: {', '.join(Stage)}")
    return Stage(text.lower())
