import json
from collections.abc import Sequence
from contextlib import ExitStack, closing, suppress
from datetime import date

from django_redis import get_redis_connection

from exchanges.adapters import open_rest
from exchanges.models import Exchange
from exchanges.redis.installation import Announcer
from exchanges.rest.base import VenueRest
from history import parquet
from history.archives.opening import open_archives
from history.archives.taking import ArchiveTaking
from history.decoded import Decoded
from history.filling import HistoryFilling
from history.following.kept import (
    keep,
    kept_exchanges,
    kept_symbols,
    start_ms,
    with_days,
)
from history.following.service import HistoryService
from history.memory import share_one_heap
from history.models import KeptHistory
from history.places.place import Place, configured_place
from history.planning.plan import FillPlan, plan
from history.planning.report import FillReport
from history.store.store import HistoryStore
from history.terminal import FillProgress, print_fill, print_fill_plan
from history.turn import Turn
from history.verifying.repair import HistoryRepair, RepairReport, remaining
from history.verifying.terminal import (
    RepairProgress,
    VerifyProgress,
    print_repair,
    print_verification,
)
from history.verifying.verification import Verification, VerifyReport
from livermore.arguments import (
    add_pairs,
    ensure_listing,
    exchange_named,
    symbols_to_fetch,
    timeframes_named,
)
from livermore.command import LivermoreCommand, SignalExit, UsageError
from livermore.market.coverage import Interval
from livermore.market.timeframe import Timeframe

ARCHIVES = ("auto", "only", "no")
DECODED_BYTES = 8_000_000  # of files in memory, beside whose ends more is fetched


class Command(LivermoreCommand):
    help = (
        "Fill an exchange's history: fetch all closed candles since a day into Parquet files, "
        "one a pair and month, and nothing that is there already. Killed anywhere it goes on "
        "where it was when it is run again. Exit status: 0 done, 1 something failed, 2 wrong usage."
    )

    def add_arguments(self, parser):
        add_pairs(parser, exchange_nargs="?")
        parser.add_argument(
            "--since",
            metavar="2023-01-01",
            help="the first day, in UTC; what is filled since then is kept from now on, with the "
            "symbols and timeframes that are given (default for all three: what is kept)",
        )
        parser.add_argument(
            "--until",
            metavar="2024-01-01",
            help="the day before which it ends: fill that, and change nothing of what is kept "
            "(default: now)",
        )
        parser.add_argument(
            "--follow",
            action="store_true",
            help="continue what is kept, of the exchange or of all, until it is told to end",
        )
        parser.add_argument(
            "--plan",
            action="store_true",
            help="change nothing and fetch nothing: say what would be fetched and what it costs",
        )
        parser.add_argument(
            "--verify",
            action="store_true",
            help="read the manifest and all files, name each difference, and fetch nothing",
        )
        parser.add_argument(
            "--repair",
            action="store_true",
            help="the same, then set what is damaged aside, fetch it again, adopt what is sound",
        )
        parser.add_argument(
            "--archives",
            choices=ARCHIVES,
            default=ARCHIVES[0],
            help="whether candles come from what the exchange publishes in bulk: where that saves "
            "calls, compared with REST (auto, the default), nothing but that (only), or not at all",
        )
        parser.add_argument("--json", action="store_true", help="print the result as JSON")

    def handle(self, **options):
        share_one_heap()
        parquet.library()
        if options["follow"]:
            self._follow(options)
            return
        if options["exchange"] is None:
            raise UsageError("which exchange is not said: give its name, or --follow for all")
        exchange = exchange_named(options["exchange"])
        if options["verify"] or options["repair"]:
            self._verify(exchange, options)
        else:
            self._fill(exchange, options)

    def _fill(self, exchange, options):
        kept = KeptHistory.objects.filter(exchange=exchange).first()
        since, until = _days(options, kept)
        ensure_listing(exchange)
        symbols = symbols_to_fetch(exchange, _symbols_text(options, exchange, kept))
        chosen = _timeframes(options, kept)
        wanted = with_days(chosen)
        redis = get_redis_connection("default")
        turn = Turn(redis, exchange, self.stderr.write)
        decoded = Decoded(DECODED_BYTES)
        store = HistoryStore(configured_place(), exchange, decoded, may_write=turn.check)
        with closing(open_rest(exchange)) as rest, ExitStack() as opened:
            now_ms = rest.clock.now_ms()
            if start_ms(since) >= now_ms:
                raise UsageError(f"--since {since} has not come yet")
            stretch = (start_ms(since), start_ms(until) if until else now_ms)
            archives = _archives(exchange, rest, stretch, options["archives"])
            if archives:
                opened.enter_context(closing(archives))
            filling = HistoryFilling(
                *(store, rest, symbols, wanted, stretch, archives),
                archives_only=options["archives"] == "only",
            )
            if options["plan"]:
                found = plan(filling, rest, wanted)
                self._print(found, print_fill_plan, exchange, options)
                return
            Announcer(redis).step()
            if options["since"] and not until:
                named = symbols if options["symbols"] else kept.symbols if kept else ()
                keep(exchange, since, named, chosen)
            store.warn_of_another_place()
            with turn, FillProgress(exchange.name, self.stderr) as show:
                report = filling.fill(show)
        self._print(report, print_fill, exchange, options)
        if report.failures:
            raise SystemExit(1)

    def _verify(self, exchange: Exchange, options) -> None:
        narrowed = ("symbols", "timeframes", "since", "until", "plan")
        given = [f"--{name}" for name in narrowed if options[name]]
        given += ["--archives"] if options["archives"] != ARCHIVES[0] else []
        if given:
            raise UsageError(f"--verify reads all of an exchange's history: leave {given[0]} out")
        place = configured_place()
        with VerifyProgress(exchange.name, self.stderr) as show:
            found = Verification(place, exchange).run(show)
        repaired, differences = None, found.differences
        if options["repair"]:
            repaired = self._repair(place, exchange, found)
            differences = remaining(differences, repaired)
        if options["json"]:
            done = {"repair": repaired.as_json()} if repaired else {}
            self.stdout.write(json.dumps(found.as_json() | done, indent=2))
        else:
            print_verification(exchange.name, found, self.stdout)
            if repaired:
                print_repair(exchange.name, repaired, self.stdout)
        if differences or (repaired and (repaired.failures or repaired.unknown)):
            raise SystemExit(1)

    def _repair(self, place: Place, exchange: Exchange, found: VerifyReport) -> RepairReport:
        redis = get_redis_connection("default")
        with Turn(redis, exchange, self.stderr.write) as turn:
            repair = HistoryRepair(place, exchange, turn.check)
            if lost := repair.settle(found.differences):
                Announcer(redis).step()
                progress = RepairProgress(exchange.name, self.stderr)
                with closing(open_rest(exchange)) as rest, progress as show:
                    repair.fetch(rest, lost, show)
            return repair.report

    def _follow(self, options):
        others = (*("since", "until", "symbols", "timeframes", "plan", "verify", "repair", "json"),)
        wrong = [name for name in others if options[name]]
        wrong += ["archives"] if options["archives"] != ARCHIVES[0] else []
        if wrong:
            raise UsageError(f"--follow goes by what is kept, not by --{wrong[0]}")
        name = options["exchange"] and exchange_named(options["exchange"]).name
        if name and not kept_exchanges(name):
            raise UsageError(
                f"no history of {name} is kept: `./run history {name} --since 2023-01-01` does"
            )
        if not kept_exchanges():
            self._say("no history is kept yet: `./run history NAME --since 2023-01-01` begins it")
        service = HistoryService(get_redis_connection("default"), self._say, name)
        with suppress(KeyboardInterrupt, SignalExit):  # what was written is whole
            service.run()

    def _say(self, text):
        with suppress(OSError, ValueError):  # nobody reads
            self.stdout.write(text)
            self.stdout.flush()

    def _print(self, found: FillReport | FillPlan, show, exchange, options) -> None:
        if options["json"]:
            self.stdout.write(json.dumps(found.as_json(), indent=2))
        else:
            show(exchange.name, found, self.stdout)


def _days(options, kept: KeptHistory | None) -> tuple[date, date | None]:
    since = _day(options["since"], "--since") or (kept and kept.since)
    if since is None:
        raise UsageError(
            "since when is not said yet: give --since with a day, as in --since 2023-01-01"
        )
    until = _day(options["until"], "--until")
    if until is not None and until <= since:
        raise UsageError(f"--until {until} is not after --since {since}")
    return since, until


def _day(text: str | None, option: str) -> date | None:
    if text is None:
        return None
    try:
        found = date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{option} is a day in UTC such as 2023-01-01, not {text!r}") from None
    if found.year < 2009:  # Bitcoin's first
        raise UsageError(f"{option} {found} is before there was anything to trade")
    return found


def _symbols_text(options, exchange: Exchange, kept: KeptHistory | None) -> str | None:
    """Return the symbols that were typed, else those that are kept by name, None for neither.

    Of those that are kept none is left out but where others trade.
    """
    if options["symbols"] is not None or not kept or not kept.symbols:
        return options["symbols"]
    names = kept_symbols(kept)
    trading = exchange.symbols.trading().filter(symbol__in=names)
    return ",".join(list(trading.values_list("symbol", flat=True)) or names)


def _timeframes(options, kept: KeptHistory | None) -> Sequence[Timeframe]:
    """Return those that were typed, else those that are kept, else all."""
    if options["timeframes"] is None and kept and kept.timeframes:
        return timeframes_named(",".join(kept.timeframes))
    return timeframes_named(options["timeframes"])


def _archives(
    exchange: Exchange, rest: VenueRest, stretch: Interval, mode: str
) -> ArchiveTaking | None:
    """Return what takes candles from bulk files, where there are any and they are wanted."""
    only = mode == "only"
    found = open_archives(exchange, rest, stretch, always=only) if mode != "no" else None
    if only and found is None:
        raise UsageError(
            f"{exchange.name} publishes no candles in bulk, as far as its row says: "
            "leave --archives only out"
        )
    return found
