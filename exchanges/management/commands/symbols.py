import contextlib
import time

from django_redis import get_redis_connection
from rich.console import Console
from rich.table import Table

from exchanges.adapters import open_rest
from exchanges.errors import UnknownSymbol
from exchanges.lock.acquire import ExchangeLock
from exchanges.lock.control_client import ControlClient, NoReply
from exchanges.redis.row_notifications import tell_row_changed
from exchanges.symbols.fetch_listing import fetch_listing
from exchanges.symbols.listed import KINDS
from exchanges.symbols.monitoring import monitor, switch, unmonitor
from exchanges.symbols.renaming import check_rename, rename_offers
from exchanges.symbols.spelling import spelled, symbols_as_listed
from exchanges.symbols.volumes import check_choice, current_volumes, most_traded, quotes_of
from livermore.arguments import add_exchange, ensure_listing, exchange_named, symbol_names
from livermore.command import LivermoreCommand, UsageError
from warmup.runner.hand_over import under_lock
from warmup.runner.renaming import rename_symbol

# Option, what it does to the rows, and the command to whoever runs the exchange.
CHANGES = (
    ("monitor", monitor, "bulk-add-symbols"),
    ("unmonitor", unmonitor, "remove-symbol"),
)
SECONDS_UNTIL_REPLY = 10.0
NAMED = 10


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
            "--top",
            type=int,
            metavar="N",
            help="keep the N symbols warm too that are most traded in the --quote currency",
        )
        parser.add_argument("--quote", metavar="USDT", help="the quote currency of --top")
        parser.add_argument(
            "--kind", choices=KINDS, default="", help="the kind of market of --top (default: all)"
        )
        parser.add_argument(
            "--rename",
            nargs=2,
            metavar=("OLD", "NEW"),
            help="one that ended goes on under a new name: keep its history, and monitor it",
        )
        parser.add_argument(
            "--all", action="store_true", help="list every symbol, not the monitored ones alone"
        )

    def handle(self, **options):
        exchange = exchange_named(options["exchange"])
        if (options["top"] is None) != (options["quote"] is None):
            raise UsageError("--top N and --quote USDT are given together, or neither")
        if options["kind"] and options["top"] is None:
            raise UsageError("--kind says which markets --top N takes: give that too")
        if options["sync"]:
            self._sync(exchange)
        changes = options["rename"] is not None
        if changes:
            both = [name.strip() for name in options["rename"]]
            self._rename(exchange, *(symbols_as_listed(exchange, [name])[0] for name in both))
        for option, change, order in CHANGES:
            if options[option] is not None:
                changes = True
                names = symbol_names(exchange, options[option], f"--{option}")
                self._change(option, change, exchange, names)
                self._tell_runner(exchange, order, names)
        if options["top"] is not None:
            changes = True
            self._monitor_most_traded(exchange, options)
        if changes or options["sync"]:
            tell_row_changed(exchange.pk)
        if (not changes and not options["sync"]) or options["all"]:
            self._list(exchange, options["all"])

    def _sync(self, exchange):
        report = fetch_listing(exchange)
        self.stdout.write(f"{exchange.name} lists {exchange.symbols.count()} symbols: {report}")
        idle = [row for row in exchange.symbols.monitored() if row.status != row.Status.TRADING]
        if idle:
            named = ", ".join(f"{row.symbol} ({row.status_text})" for row in idle[:NAMED])
            more = f" and {len(idle) - NAMED} more" if len(idle) > NAMED else ""
            self.stdout.write(
                f"{exchange.name}: monitored, and asked for nothing until they trade: {named}{more}"
            )
        self._offer_renames(exchange)

    def _offer_renames(self, exchange):
        for offer in rename_offers(exchange):
            self.stdout.write(f"{exchange.name}: {offer}")

    def _rename(self, exchange, old, new):
        redis = get_redis_connection("default")
        try:
            check_rename(exchange, old, new)
        except UnknownSymbol as error:
            raise UsageError(str(error)) from error

        def work(cache, tell):
            return rename_symbol(redis, exchange, cache, lambda: open_rest(exchange), old, new)

        arguments = {"old": old, "new": new}
        result = under_lock(
            *(redis, exchange, "rename-symbol", arguments, work),
            lambda progress: None,
            self.stderr.write,
        )
        monitored = "is monitored" if result["monitored"] else "is not monitored, as that was not"
        self.stdout.write(
            f"{exchange.name}: {old} is renamed to {new}, which {monitored}; "
            f"{result['candles']} candles of its history are kept"
        )

    def _change(self, option, change, exchange, names):
        try:
            changed = change(exchange, names)
        except UnknownSymbol as error:
            raise UsageError(str(error)) from error
        self.stdout.write(f"{exchange.name}: {changed} of {len(names)} newly {option}ed")

    def _monitor_most_traded(self, exchange, options):
        count = options["top"]
        redis = get_redis_connection("default")
        ensure_listing(exchange)
        [quote] = spelled([options["quote"].strip()], quotes_of(exchange))
        try:
            check_choice(exchange, quote, count)
        except (UnknownSymbol, ValueError) as error:
            raise UsageError(str(error)) from error
        volumes = current_volumes(redis, exchange)
        found = most_traded(exchange, volumes, quote, count, options["kind"])
        new = switch(exchange, found.symbols, True).symbols
        added = f": {', '.join(new)}" if new else ""
        self.stdout.write(f"{exchange.name}: {found}; {len(new):,} newly monitored{added}")
        if new:
            self._tell_runner(exchange, "bulk-add-symbols", list(new))

    def _tell_runner(self, exchange, order, names):
        """Let who runs the exchange stream these symbols too, or no longer; say what it does."""
        redis = get_redis_connection("default")
        holder = ExchangeLock(redis, exchange.pk).holder()
        if not holder or not holder.is_known:
            return
        client = ControlClient(redis, exchange.pk)
        request_id = client.send(order, symbols=names)
        self.stdout.write(f"{exchange.name}: its runner was told{_answer(client, request_id)}")

    def _list(self, exchange, everything):
        rows = exchange.symbols.all() if everything else exchange.symbols.monitored()
        if not rows:
            self.stdout.write(
                f"{exchange.name} has no {'' if everything else 'monitored '}symbol; "
                f"`./run symbols {exchange.name} --sync` fetches its listing, --monitor A,B chooses"
            )
            return
        table = Table()
        for column in ("symbol", "native", "kind", "status", "monitored"):
            table.add_column(column)
        for row in rows:
            monitored = "yes" if row.is_monitored else ""
            table.add_row(row.symbol, row.native_symbol, row.kind, row.status_text, monitored)
        Console(file=self.stdout, width=100).print(table)
        self._offer_renames(exchange)


def _answer(client, request_id):
    """Return, for the end of a sentence, what the runner answers within some seconds."""
    ends_at, newest = time.monotonic() + SECONDS_UNTIL_REPLY, None
    with contextlib.suppress(NoReply):
        for reply in client.replies(request_id, SECONDS_UNTIL_REPLY):
            newest = reply
            if time.monotonic() > ends_at:
                break
    if newest is None:
        return ", and does it as soon as it streams"
    if not newest.ok:
        return f", and could not do it now: {newest.error}. It looks again by itself"
    parts = _parts(newest.result)
    return f": {', '.join(parts)}" if parts else ""


def _parts(result):
    parts = []
    streamed, waiting = result.get("streamed"), result.get("waiting")
    if streamed:
        parts.append(f"{_names(streamed)} streamed now")
    if waiting:
        why = f"once the exchange answers ({result['reason']})" if result["reason"] else "now"
        parts.append(f"history of {_names(waiting)} fetched {why}")
    elif streamed:
        parts.append("history fetched")
    idle = list(result.get("idle", {}).items())
    parts += [f"{symbol} is {status}: streamed once it trades" for symbol, status in idle[:NAMED]]
    return parts


def _names(symbols):
    more = f" and {len(symbols) - NAMED} more" if len(symbols) > NAMED else ""
    return ", ".join(symbols[:NAMED]) + more
