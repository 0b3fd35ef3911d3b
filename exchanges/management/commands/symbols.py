from django_redis import get_redis_connection
from rich.console import Console
from rich.table import Table

from exchanges.control import ControlClient
from exchanges.errors import UnknownSymbol
from exchanges.fetch_listing import fetch_listing
from exchanges.instances import ExchangeLock
from exchanges.listing import monitor, unmonitor
from livermore.arguments import add_exchange, exchange_named, symbol_names
from livermore.command import LivermoreCommand, UsageError

# Option, what it does to the rows, and the command to whoever runs the exchange.
CHANGES = (
    ("monitor", monitor, "bulk-add-symbols"),
    ("unmonitor", unmonitor, "remove-symbol"),
)


class Command(LivermoreCommand):
    help = (
        "List the symbols of an exchange; fetch its listing; choose which to keep warm. "
        "Exit status: 0 done, 1 something failed, 2 wrong usage."
    )

    def add_arguments(self, parser):
        add_exchange(parser)
        parser.add_argument(
            "--sync", action="store_true", help="fetch the exchange's listing first"
        )
        parser.add_argument("--monitor", metavar="A,B", help="keep these symbols warm")
        parser.add_argument("--unmonitor", metavar="A,B", help="keep these no longer")
        parser.add_argument(
            "--all", action="store_true", help="list every symbol, not the monitored ones alone"
        )

    def handle(self, **options):
        exchange = exchange_named(options["exchange"])
        if options["sync"]:
            self._sync(exchange)
        changes = False
        for option, change, order in CHANGES:
            if options[option] is not None:
                changes = True
                names = symbol_names(options[option], f"--{option}")
                self._change(option, change, exchange, names)
                self._tell_runner(exchange, order, names)
        if (not changes and not options["sync"]) or options["all"]:
            self._list(exchange, options["all"])

    def _sync(self, exchange):
        report = fetch_listing(exchange)
        self.stdout.write(f"{exchange.name} lists {exchange.symbols.count()} symbols: {report}")

    def _change(self, option, change, exchange, names):
        try:
            changed = change(exchange, names)
        except UnknownSymbol as error:
            raise UsageError(str(error)) from error
        self.stdout.write(f"{exchange.name}: {changed} of {len(names)} newly {option}ed")

    def _tell_runner(self, exchange, order, names):
        """Let who runs the exchange stream these symbols too, or no longer."""
        redis = get_redis_connection("default")
        if ExchangeLock(redis, exchange.pk).holder():
            ControlClient(redis, exchange.pk).send(order, symbols=names)
            self.stdout.write(f"{exchange.name}: its runner was told")

    def _list(self, exchange, everything):
        rows = exchange.symbols.all() if everything else exchange.symbols.watched()
        if not rows:
            self.stdout.write(
                f"{exchange.name} has no {'' if everything else 'monitored '}symbol; "
                f"`./run symbols {exchange.name} --sync` fetches its listing, --monitor A,B chooses"
            )
            return
        table = Table()
        for column in ("symbol", "native", "status", "monitored"):
            table.add_column(column)
        for row in rows:
            monitored = "yes" if row.is_monitored else ""
            table.add_row(row.symbol, row.native_symbol, row.status, monitored)
        Console(file=self.stdout, width=100).print(table)
