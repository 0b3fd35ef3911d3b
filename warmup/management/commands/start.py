import time

from django.core.management.base import CommandError
from django_redis import get_redis_connection

from exchanges.lock.acquire import ExchangeLock, Held
from exchanges.redis.installation import Announcer
from livermore.arguments import (
    add_exchange,
    ensure_listing,
    exchange_named,
    symbols_named,
    symbols_to_fetch,
)
from livermore.command import LivermoreCommand, SignalExit
from warmup.live.redis_loss.written_lately import WrittenLately
from warmup.network.past.watch import PastWatch
from warmup.runner.moving.losses import run_through_losses
from warmup.runner.runner import ExchangeRunner
from warmup.terminal import WarmupProgress


class Command(LivermoreCommand):
    help = (
        "Keep an exchange warm and live: take its lock, warm up, repair, then stream until it is "
        "told to end. Exit status: 0 ended as asked, 1 something failed or another holds the "
        "lock, 2 wrong usage."
    )

    def add_arguments(self, parser):
        add_exchange(parser)
        parser.add_argument(
            "--symbols", metavar="A,B", help="these alone (default: what is monitored)"
        )
        parser.add_argument(
            "--take-over",
            action="store_true",
            help="if another process or machine holds the lock, end its work and go on here",
        )

    def handle(self, **options):
        exchange = exchange_named(options["exchange"])
        ensure_listing(exchange)
        named = options["symbols"]
        # Of what is monitored nothing may trade now: what does is streamed when it does again.
        symbols = (symbols_named if named is None else symbols_to_fetch)(exchange, named)
        redis = get_redis_connection("default")
        Announcer(redis).step()
        holder = ExchangeLock(redis, exchange.pk).holder() if options["take_over"] else None
        with WarmupProgress(exchange.name, self.stderr) as show:
            take_over = holder.instance_id if holder else None

            def run(lately: WrittenLately) -> None:
                nonlocal take_over
                runner = ExchangeRunner(
                    *(redis, exchange, symbols),
                    only=named is not None,
                    on_warmup=lambda stats: show(stats.as_json()),
                    lately=lately,
                )
                whom, take_over = take_over, None
                runner.run(whom, "start --take-over")

            try:
                with PastWatch(redis, only=exchange.pk):
                    run_through_losses(run, time.sleep)
            except Held as error:
                if not error.holder.is_known:
                    raise CommandError(str(error)) from error
                raise CommandError(
                    f"{exchange.name} is held by {error.holder}: end it there, or let it end with "
                    "--take-over"
                ) from error
            except (KeyboardInterrupt, SignalExit):
                return  # the end it was waiting for: all is flushed and released
