import time
from contextlib import closing
from datetime import UTC, datetime

from django_redis import get_redis_connection

from exchanges.adapters import ExchangeAdapterFactory
from exchanges.lock.acquire import ExchangeLock
from exchanges.lock.fencing import Fenced
from exchanges.lock.status import State
from exchanges.stream.streamer import Streamer
from livermore.arguments import add_exchange, ensure_listing, exchange_named, symbols_to_fetch
from livermore.command import LivermoreCommand, SignalExit, UsageError
from livermore.market.decimal_text import plain
from warmup.live.sink import CandleSink


class Command(LivermoreCommand):
    help = (
        "Stream an exchange into the cache without warming it first, and print what comes: a line "
        "a second, and each close. Exit status: 0 ended as asked, 1 something failed or another "
        "holds the lock, 2 wrong usage."
    )

    def add_arguments(self, parser):
        add_exchange(parser)
        parser.add_argument("--symbols", metavar="A,B", help="these (default: the monitored ones)")
        parser.add_argument("--seconds", type=float, help="end after so long (default: never)")

    def handle(self, **options):
        seconds = options["seconds"]
        if seconds is not None and seconds <= 0:
            raise UsageError("--seconds is more than 0")
        exchange = exchange_named(options["exchange"])
        ensure_listing(exchange)
        symbols = symbols_to_fetch(exchange, options["symbols"])
        redis = get_redis_connection("default")
        factory = ExchangeAdapterFactory(redis)
        lease = ExchangeLock(redis, exchange.pk).acquire()
        with lease, closing(factory.rest(exchange)) as rest:
            lease.report(State.ACTIVE, "streaming without a warmup")
            stream = factory.stream(exchange)
            sink = CandleSink(
                redis,
                exchange.pk,
                rest,
                lease.own_epoch,
                lease.may_write,
                stream.rolls_up_from,
                self._say_close,
            )
            streamer = Streamer(stream, sink, rest)
            streamer.start(symbols)
            try:
                self._watch(lease, streamer, sink, seconds)
            except (KeyboardInterrupt, SignalExit):
                return
            finally:
                streamer.stop()
                sink.close()

    def _watch(self, lease, streamer, sink, seconds):
        ends_at = time.monotonic() + (seconds or float("inf"))
        before = 0
        while time.monotonic() < ends_at:
            time.sleep(min(1.0, max(0.0, ends_at - time.monotonic())))
            if lease.lost.is_set() or isinstance(streamer.error, Fenced):
                raise lease.loss()
            if streamer.error:
                raise streamer.error
            counters = streamer.counters()
            self.stdout.write(
                f"{counters['frames'] - before} frames/s, {counters['connections']} connections, "
                f"{sink.writer.closes} closes, {sink.healed} healed, "
                f"{counters['malformed']} malformed{_polled(streamer)}"
            )
            before = counters["frames"]

    def _say_close(self, symbol, candle, healed):
        opened = datetime.fromtimestamp(candle.timestamp / 1000, UTC)
        self.stdout.write(
            f"closed {symbol} {candle.timeframe} {opened:%Y-%m-%d %H:%M} at {plain(candle.close)}"
            f"{', healed' if healed else ''}"
        )


def _polled(streamer):
    symbols = sorted({pair.symbol for pair in streamer.polled()})
    return f", {len(symbols)} polled: {', '.join(symbols)}" if symbols else ""
