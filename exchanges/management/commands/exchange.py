import json
from typing import ClassVar

from django.db.models.functions import Now
from django.forms import modelform_factory
from django_redis import get_redis_connection
from redis import RedisError
from rich import box
from rich.console import Console
from rich.table import Table

from exchanges.errors import clip
from exchanges.forms import ExchangeForm
from exchanges.lock.acquire import ExchangeLock
from exchanges.models import Exchange
from exchanges.redis.row_notifications import tell_row_changed
from exchanges.venues import VENUES
from livermore.arguments import exchange_named
from livermore.command import LivermoreCommand, UsageError

YES_OR_NO = {"yes": True, "no": False}
OPTIONS = (  # option, field of the row, what is written after it, and what it is
    ("--rest", "rest_url", "URL", "its REST address, as in https://api.example.com"),
    ("--ws", "ws_url", "URL", "its WebSocket address, as in wss://stream.example.com:9443"),
    ("--archive", "archive_url", "URL", "where candles are published in bulk; '': nowhere"),
    ("--proxy", "proxy", "URL", "the proxy on the way, or the variable that holds it; '': none"),
    ("--display-name", "display_name", "TEXT", "what people call it"),
    ("--active", "is_active", "yes|no", "whether it may be used at all"),
    ("--wanted", "wanted", "running|stopped", "what agents make of it"),
    ("--pacing", "pacing", "weight|batch", "by what its calls are paced"),
    ("--batch-size", "batch_size", "N", "calls at the same time, with batches"),
    ("--batch-delay-ms", "batch_delay_ms", "MS", "milliseconds between two batches"),
)
FIELDS = [field for _option, field, _value, _help in OPTIONS]
OPTION_OF = {field: option for option, field, _value, _help in OPTIONS}
# What holds for a runner at once, or is nothing to it.
WHILE_IT_RUNS = ("is_active", "wanted", "display_name", "archive_url")
Form = modelform_factory(Exchange, form=ExchangeForm, fields=["venue", *FIELDS])


class Command(LivermoreCommand):
    help = (
        "Show the rows of all exchanges, or one, or change it; what can't be is refused as in the "
        "admin. Exit status: 0 done, 1 something failed, 2 wrong usage."
    )
    requires_system_checks: ClassVar[list[str]] = []  # a row which fails them can be fixed

    def add_arguments(self, parser):
        parser.add_argument(
            "exchange", nargs="?", help="name of the exchange's row (default: list all)"
        )
        for option, field, value, text in OPTIONS:
            parser.add_argument(option, dest=field, metavar=value, help=text)
        parser.add_argument("--json", action="store_true", help="print the rows as JSON")

    def handle(self, **options):
        changes = {name: options[name] for name in FIELDS if options[name] is not None}
        if options["exchange"] is None:
            if changes:
                raise UsageError(f"{OPTION_OF[next(iter(changes))]} needs the name of an exchange")
            self._list(options["json"])
            return
        exchange = _row(options["exchange"])
        said = self.stderr if options["json"] else self.stdout
        if changes:
            names = _change(exchange, changes)
            exchange.refresh_from_db()
            said.write(self._what_happens(exchange, names))
        if options["json"]:
            self.stdout.write(json.dumps(_as_json(exchange), indent=2))
        elif not changes:
            self._show(exchange)

    def _list(self, as_json):
        rows = Exchange.objects.order_by("pk")
        if as_json:
            self.stdout.write(json.dumps([_as_json(row) for row in rows], indent=2))
            return
        table = Table()
        for name in ("number", "name", "display name", "venue", "wanted", "active", "seen live"):
            table.add_column(name, justify="right" if name == "number" else "left")
        for row in rows:
            active = "yes" if row.is_active else "no"
            seen = "yes" if _is_seen(row) else "no"
            names = (str(row.pk), row.name, row.display_name, row.venue)
            table.add_row(*names, row.wanted, active, seen)
        Console(file=self.stdout, width=100, markup=False).print(table)

    def _show(self, exchange):
        table = Table(box=box.SIMPLE, show_header=False)
        for name, value in _as_json(exchange).items():
            table.add_row(name, _as_text(value))
        Console(file=self.stdout, width=260, markup=False).print(table)

    def _what_happens(self, exchange, names):
        """Return what has changed, and from when on it holds."""
        if not names:
            return f"{exchange.name}: nothing to change, it is so already"
        done = f"{exchange.name}: changed {', '.join(OPTION_OF[name][2:] for name in names)}"
        try:
            redis = get_redis_connection("default")
            holder = ExchangeLock(redis, exchange.pk).holder()
        except RedisError:
            return f"{done}; who runs it is not known, as Redis does not answer"
        if holder is None or {*names} <= {*WHILE_IT_RUNS}:
            return done
        return (
            f"{done}. It is held by {holder}, who goes on as before until it is started again: "
            "Stop and Connect on the Network page, or --wanted stopped and then --wanted running"
        )


def _row(name):
    """Return the row of that name, active or not; UsageError names those there are."""
    return Exchange.objects.filter(name=name).first() or exchange_named(name)


def _change(exchange, changes):
    """Change what differs, and return the names of those fields; UsageError for what can't be."""
    if "is_active" in changes:
        if changes["is_active"] not in YES_OR_NO:
            raise UsageError(f"--active is yes or no, not {clip(changes['is_active'])!r}")
        changes["is_active"] = YES_OR_NO[changes["is_active"]]
    now = {name: getattr(exchange, name) for name in ("venue", *FIELDS)}
    form = Form(now | changes, instance=exchange)
    if not form.is_valid():
        raise UsageError("; ".join(_errors(form)))
    values = {name: getattr(form.instance, name) for name in FIELDS}
    names = [name for name in FIELDS if values[name] != now[name]]
    if names:
        moment = {"updated_at": Now()} | ({"wanted_at": Now()} if "wanted" in names else {})
        # Only these columns: somebody may be changing others.
        Exchange.objects.filter(pk=exchange.pk).update(
            **{name: values[name] for name in names}, **moment
        )
        tell_row_changed(exchange.pk)
    return names


def _errors(form):
    for name, errors in form.errors.items():
        choices = Exchange._meta.get_field(name).choices if name in OPTION_OF else None
        known = [value for value, _ in choices or ()]
        more = f" Known are: {', '.join(known)}." if known else ""
        yield f"{OPTION_OF.get(name, 'row')}: {' '.join(errors)}{more}"


def _is_seen(exchange):
    """Tell whether anybody has tried this code with exchanges of its venue."""
    return exchange.venue in VENUES and VENUES[exchange.venue].seen_live


def _as_text(value):
    if isinstance(value, bool):  # asked first: 1 equals True
        return "yes" if value else "no"
    return "" if value is None else str(value)


def _as_json(exchange):
    return {
        "id": exchange.pk,
        "name": exchange.name,
        "displayName": exchange.display_name,
        "venue": exchange.venue,
        "restUrl": exchange.rest_url,
        "wsUrl": exchange.ws_url,
        "archiveUrl": exchange.archive_url,
        "proxy": exchange.proxy,
        "isActive": exchange.is_active,
        "seenLive": _is_seen(exchange),
        "wanted": exchange.wanted,
        "pacing": exchange.pacing,
        "batchSize": exchange.batch_size,
        "batchDelayMs": exchange.batch_delay_ms,
    }
