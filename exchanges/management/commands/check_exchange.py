import json

from django_redis import get_redis_connection

from exchanges.models import Exchange
from livermore.arguments import add_exchange, exchange_named, symbol_names, symbols_named
from livermore.command import LivermoreCommand, UsageError
from warmup.harness import ExchangeCheck
from warmup.harness.terminal import CheckProgress, print_check


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
        parser.add_argument("--json", action="store_true", help="print the result as JSON")

    def handle(self, **options):
        # One that is switched off is a finding, not a mistake of whoever typed its name.
        name = options["exchange"]
        exchange = Exchange.objects.filter(name=name).first() or exchange_named(name)
        symbol = _symbol_named(exchange, options["symbol"])
        redis = get_redis_connection("default")
        try:
            check = ExchangeCheck(redis, exchange, symbol, options["seconds"])
        except ValueError as error:
            raise UsageError(f"--{error}") from error
        with CheckProgress(f"checking {name}", self.stderr) as show:
            report = check.run(show)
        if options["json"]:
            self.stdout.write(json.dumps(report.as_json(), indent=2))
        else:
            print_check(report, self.stdout)
        if not report.passed:
            raise SystemExit(1)


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
