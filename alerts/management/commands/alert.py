from django.core.management.base import CommandError

from alerts.delivery.sending import tell
from alerts.evaluating.texts import TEST
from alerts.models import Alert, AlertChannel, Delivery
from livermore.command import LivermoreCommand, UsageError


class Command(LivermoreCommand):
    help = (
        "Try a channel, or list what is open. "
        "Exit status: 0 done, 1 something failed, 2 wrong usage."
    )
    needs_redis = False

    def add_arguments(self, parser):
        parser.add_argument("--test", metavar="CHANNEL", help="send a test message by a channel")
        parser.add_argument(
            "--list", action="store_true", help="list what is open, and what is not delivered"
        )

    def handle(self, **options):
        if options["test"] is not None:
            self._test(options["test"])
        elif options["list"]:
            self._list()
        else:
            raise UsageError("what to do is not said: --test CHANNEL, or --list")

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
            self.stdout.write(
                f"{each.channel}: {each.get_state_display()}: {each.fault or each.text}"
            )
