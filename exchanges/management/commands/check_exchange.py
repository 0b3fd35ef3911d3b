import json
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from django_redis import get_redis_connection
from redis import Redis

from exchanges.models import Exchange
from exchanges.venues import VENUES
from livermore import __version__
from livermore.arguments import add_exchange, exchange_named, symbol_names, symbols_named
from livermore.command import LivermoreCommand, UsageError
from livermore.observing.redaction import redacted
from warmup.harness import CheckReport, ExchangeCheck
from warmup.harness.contact_report import ContactReport
from warmup.harness.first_contact import FirstContact
from warmup.harness.terminal import CheckProgress, print_check

USUAL_MINUTES = 10


class Command(LivermoreCommand):
    help = (
        "Try an exchange from here, step by step, from its row to live frames, and say what to do "
        "about what fails. It leaves nothing but warmed candles of one symbol. "
        "Exit status: 0 all is well, 1 a step failed, 2 wrong usage."
    )

    def add_arguments(self, parser):
        add_exchange(parser)
        parser.add_argument(
            "--symbol", metavar="BTC-USD", help="with this one (default: BTC-USD if it trades)"
        )
        parser.add_argument(
            "--seconds", type=float, default=2.0, help="how long to listen (default: 2)"
        )
        parser.add_argument(
            "--report",
            metavar="FILE",
            help="ask too what nobody has seen of this exchange yet, and write what came of it, as "
            "JSON into FILE and in words into FILE.txt, to be sent to whoever maintains this: "
            "without keys, addresses and names of yours",
        )
        parser.add_argument(
            "--minutes",
            type=float,
            default=USUAL_MINUTES,
            help=f"how long --report listens to the stream (default: {USUAL_MINUTES})",
        )
        parser.add_argument("--json", action="store_true", help="print the result as JSON")

    def handle(self, **options):
        # One that is switched off is a finding, not a mistake of whoever typed its name.
        name = options["exchange"]
        exchange = Exchange.objects.filter(name=name).first() or exchange_named(name)
        symbol = _symbol_named(exchange, options["symbol"])
        redis = get_redis_connection("default")
        try:
            check = ExchangeCheck(redis, exchange, symbol, options["seconds"])
            contact = _contact(redis, exchange, options)
        except ValueError as error:
            raise UsageError(f"--{error}") from error
        with CheckProgress(f"checking {name}", self.stderr) as show:
            report = check.run(show)
        if options["json"]:
            self.stdout.write(json.dumps(report.as_json(), indent=2))
        else:
            print_check(report, self.stdout)
            self._name_unseen(exchange, options["report"])
        if contact:
            self._write_report(contact, report, Path(options["report"]))
        if not report.passed:
            raise SystemExit(1)

    def _name_unseen(self, exchange: Exchange, report: str | None) -> None:
        venue = VENUES.get(exchange.venue)
        if venue and not venue.seen_live and not report:
            self.stdout.write(
                f"note: nobody has tried {venue.label} itself with this yet: --report FILE asks "
                "what is unsure of it, and writes what can be sent back\n"
            )

    def _write_report(self, contact: FirstContact, check: CheckReport, path: Path) -> None:
        """Ask, and write after each answer what is known by then: whoever ends it keeps that."""

        def note(report: ContactReport) -> None:
            last = report.findings[-1]
            self.stderr.write(f"{last.fact.name}: {last.text}")
            _write(report, path)

        self.stderr.write(f"Asking {len(contact.facts)} things, which takes minutes")
        found = contact.run(check, note)
        text = _write(found, path)
        self.stderr.write(
            f"{len(found.findings)} answers, {len(found.surprises)} of them not as assumed: "
            f"{path} and {text} can be sent to whoever maintains this"
        )


def _write(report: ContactReport, path: Path) -> Path:
    """Write a report in both forms; return where it is in words. Raises CommandError."""
    report.version = __version__
    text = path.with_name(f"{path.name}.txt")
    try:
        path.write_text(redacted(json.dumps(report.as_json(), indent=2)) + "\n", "utf-8")
        text.write_text(redacted(report.as_text()), "utf-8")
    except OSError as error:
        raise CommandError(f"the report can't be written: {error}") from error
    return text


def _contact(redis: Redis, exchange: Exchange, options: dict[str, Any]) -> FirstContact | None:
    """Return what asks what is unsure, None where nobody wants that. Raises ValueError."""
    if not options["report"] or exchange.venue not in VENUES:
        return None
    try:
        with Path(options["report"]).open("a"):  # what to write comes minutes later
            pass
    except OSError as error:
        raise ValueError(f"report can't be written: {error}") from error
    return FirstContact(redis, exchange, options["minutes"])


def _symbol_named(exchange: Exchange, text: str | None) -> str | None:
    """Return the symbol that was typed; UsageError for one that can't be meant."""
    if text is None:
        return None
    names = symbol_names(exchange, text, "--symbol") if text.strip(" ,") else []
    if len(names) != 1:
        raise UsageError(f"--symbol is one symbol, as in BTC-USD, not {len(names)}")
    if exchange.symbols.exists():
        return symbols_named(exchange, text)[0]
    base, _, quote = names[0].rpartition("-")
    if not (base and quote):
        raise UsageError(f"--symbol is written BASE-QUOTE, as in BTC-USD, not {names[0]!r}")
    return names[0]
