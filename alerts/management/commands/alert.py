import time
from datetime import UTC, datetime
from typing import TextIO, cast

from django.core.management.base import CommandError
from django_redis import get_redis_connection
from rich.console import Console

from alerts.delivery.sending import tell
from alerts.evaluating.texts import TEST
from alerts.models import Alert, AlertChannel, Delivery
from alerts.signals.replay import Replay
from alerts.signals.terminal import as_json, print_replay
from alerts.signals.trial import rules_named
from exchanges.lock.status import read_exchange_time
from livermore.arguments import exchange_named, moment_named, symbols_named, timeframes_named
from livermore.command import LivermoreCommand, UsageError
from livermore.market.pair import pairs_of
from warmup.terminal import Verbatim


class Command(LivermoreCommand):
    help = (
        "Try a channel, list what is open, or show what rules about signals would have rung over "
        "cache and history: that sends nothing. "
        "Exit status: 0 done, 1 something failed, 2 wrong usage."
    )
    needs_redis = False

    def add_arguments(self, parser):
        parser.add_argument("--test", metavar="CHANNEL", help="send a test message by a channel")
        parser.add_argument(
            "--list", action="store_true", help="list what is open, and what is not delivered"
        )

        parser.add_argument(
            "--replay", metavar="EXCHANGE", help="show what rules about signals would have rung"
        )
        parser.add_argument(
            "--since", metavar="2026-11-01", help="with --replay: from then on, in UTC"
        )
        parser.add_argument("--until", metavar="2026-11-02T12:00", help="with --replay: up to then")
        parser.add_argument(
            "--rule",
            metavar="RULE",
            help="with --replay: a rule's number, or one that is not there, as level:200, stage, "
            "reversal, price_above:65000 (default: all active ones)",
        )
        parser.add_argument("--symbols", metavar="A,B", help="with --replay: these symbols alone")
        parser.add_argument("--timeframes", metavar="1d,1h", help="with --replay: these alone")
        parser.add_argument("--json", action="store_true", help="with --replay: as JSON")

    def execute(self, *args, **options):
        self.needs_redis = options.get("replay") is not None
        return super().execute(*args, **options)

    def handle(self, **options):
        if options["replay"] is not None:
            self._replay(options)
            return
        if options["test"] is not None:
            self._test(options["test"])
        elif options["list"]:
            self._list()
        else:
            raise UsageError("what to do is not said: --test CHANNEL, --list, or --replay EXCHANGE")

    def _replay(self, options):
        exchange = exchange_named(options["replay"])
        redis = get_redis_connection("default")
        now_ms = read_exchange_time(redis, exchange.pk) or int(time.time() * 1000)
        since_ms, until_ms = _stretch(options, now_ms)
        symbols = symbols_named(exchange, options["symbols"])
        timeframes = [str(each) for each in timeframes_named(options["timeframes"])]
        named = symbols if options["symbols"] else []
        try:
            rules = rules_named(exchange, options["rule"], named, timeframes)
        except ValueError as error:
            raise UsageError(str(error)) from None
        replay = Replay(redis, exchange, rules)
        found = replay.found(pairs_of(symbols, timeframes), since_ms, until_ms)
        if options["json"]:
            self.stdout.write(as_json(found, rules, replay.missing_bars))
            return
        console = Console(file=cast(TextIO, Verbatim(self.stdout)))
        print_replay(console, f"signals of {exchange.name}", found, rules, replay.missing_bars)

    def _test(self, name):
        channel = AlertChannel.objects.filter(name=name).first()
        if channel is None:
            known = ", ".join(AlertChannel.objects.values_list("name", flat=True))
            raise UsageError(
                f"unknown channel: {name}; there {f'are: {known}' if known else 'is none'}"
            )
        outcome = tell(channel, TEST.format(name=channel.name))
        if not outcome.is_sent:
            raise CommandError(f"{channel}: {outcome.fault}")
        self.stdout.write(f"{channel}: the message was taken")

    def _list(self):
        alerts = list(Alert.objects.filter(resolved_at=None))
        for alert in alerts:
            self.stdout.write(f"{alert.first_seen:%Y-%m-%d %H:%M} UTC  {alert.text}")
        if not alerts:
            self.stdout.write("Nothing is open.")
        undelivered = Delivery.objects.exclude(state=Delivery.State.DELIVERED)
        for each in undelivered.select_related("channel"):
            said = each.fault or each.text.partition("\n")[0]
            self.stdout.write(f"{each.channel}: {each.get_state_display()}: {said}")


def _stretch(options, now_ms):
    since_ms, until_ms = (moment_named(options[name], f"--{name}") for name in ("since", "until"))
    if since_ms is None:
        raise UsageError("--replay: since when is not said, as in --since 2026-11-01")
    if until_ms is None or until_ms > now_ms:
        until_ms = now_ms
    if since_ms >= until_ms:
        end = datetime.fromtimestamp(until_ms / 1000, UTC)
        raise UsageError(f"--since {options['since']} is not before {end:%Y-%m-%dT%H:%M}")
    return max(since_ms, 0), until_ms  # no candle is older than 1970
