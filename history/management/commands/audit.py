import json
from contextlib import closing
from io import StringIO

from django.core.management import call_command
from django_redis import get_redis_connection

from exchanges.adapters import open_rest
from exchanges.models import Exchange
from exchanges.redis.installation import Announcer
from history.audit.audit import SAMPLE, Audit, AuditReport, begin, finish
from history.audit.repair import counts_back, forget
from history.audit.store import store_of
from history.audit.terminal import AuditProgress, print_audit
from history.manifest import Manifest
from history.places.place import configured_place
from history.turn import Turn
from history.verifying.repair import HistoryRepair
from history.verifying.terminal import RepairProgress
from livermore.arguments import add_exchange, ensure_listing, exchange_named
from livermore.command import LivermoreCommand, UsageError
from warmup.cache.candles import CANDLES_KEPT, CandleCache

LARGEST_SAMPLE = 100_000


class Command(LivermoreCommand):
    help = (
        "Compare random candles of an exchange's cache and history with what the exchange tells "
        "of them now, and with another exchange where that is named. It changes nothing, but with "
        "--repair. Exit status: 0 all agree, 1 something differs or is unknown, 2 wrong usage."
    )

    def add_arguments(self, parser):
        add_exchange(parser)
        parser.add_argument(
            "--sample", type=int, default=SAMPLE, help=f"how many candles (default: {SAMPLE})"
        )
        parser.add_argument(
            "--second-venue",
            metavar="EXCHANGE2",
            help="another exchange, whose candles of the same symbols have to be near",
        )
        parser.add_argument(
            "--repair", action="store_true", help="fetch again what differs, and nothing else"
        )
        parser.add_argument("--json", action="store_true", help="print the result as JSON")

    def handle(self, **options):
        if not 1 <= options["sample"] <= LARGEST_SAMPLE:
            raise UsageError(f"--sample is 1 to {LARGEST_SAMPLE}, not {options['sample']}")
        exchange = exchange_named(options["exchange"])
        second = exchange_named(options["second_venue"]) if options["second_venue"] else None
        if second == exchange:
            raise UsageError("--second-venue names another exchange than the one that is audited")
        for each in filter(None, (exchange, second)):
            ensure_listing(each)
        redis = get_redis_connection("default")
        Announcer(redis).step()
        audit = Audit(exchange, CandleCache(redis, exchange.pk), store_of(exchange), second)
        run = begin(exchange, second)
        with AuditProgress(f"audit of {exchange.name}", self.stderr) as show:
            report = audit.run(options["sample"], show)
        finish(run, report)
        repaired = self._repair(redis, exchange, report) if options["repair"] else None
        if options["json"]:
            done = {} if repaired is None else {"repaired": repaired}
            self.stdout.write(json.dumps(report.as_json() | done, indent=2))
        else:
            print_audit(exchange, second, report, self.stdout)
            if repaired is not None:
                self.stdout.write(f"{repaired:,} candles fetched again\n")
        if not run.is_fine:
            raise SystemExit(1)

    def _repair(self, redis, exchange: Exchange, report: AuditReport) -> int:
        """Fetch again what differs; return how many candles came."""
        place = configured_place()
        candles = 0
        with closing(open_rest(exchange)) as rest:
            for pair, count in counts_back(rest, report.differing).items():
                output = StringIO()
                arguments = {"symbols": pair.symbol, "timeframes": pair.timeframe, "json": True}
                arguments["count"] = min(count, CANDLES_KEPT)
                call_command("backfill", exchange.name, stdout=output, **arguments)
                candles += json.loads(output.getvalue())["candles"]
            if lost := forget(Manifest(place.id(), exchange), report.differing):
                progress = RepairProgress(exchange.name, self.stderr)
                with Turn(redis, exchange, self.stderr.write) as turn, progress as show:
                    repair = HistoryRepair(place, exchange, turn.check)
                    repair.fetch(rest, lost, show)
                    candles += repair.report.candles
        return candles
