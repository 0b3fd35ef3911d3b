"""History and audits in Django's admin: what is kept is chosen, all the rest is looked at."""

from datetime import UTC, datetime
from urllib.parse import urlencode

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Count, Sum
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils.html import format_html, format_html_join

from exchanges.admin import LookedAt
from exchanges.forms import SEPARATOR, SymbolsField, TimeframesField
from exchanges.models import AuditRun
from history.manifest import coverage_of
from history.models import HistoryFile, KeptHistory, PairHistory
from warmup.cache.unconfirmed import Unconfirmed
from warmup.human_readable import coverage_in_brief, coverage_in_words, stretch_in_words

NO_BREAK, NO_BREAK_HYPHEN = "\u00a0", "\u2011"  # a column of dates is narrow else


class KeptHistoryForm(forms.ModelForm):
    symbols = SymbolsField(empty="those that are monitored")
    timeframes = TimeframesField()

    class Meta:
        model = KeptHistory
        fields = ("exchange", "since", "symbols", "timeframes", "is_active")

    def clean(self):
        values = super().clean()
        exchange = values.get("exchange") or getattr(self.instance, "exchange", None)
        symbols = values.get("symbols") or []
        if exchange and symbols:
            known = set(
                exchange.symbols.filter(symbol__in=symbols).values_list("symbol", flat=True)
            )
            if unknown := [each for each in symbols if each not in known]:
                text = f"{exchange} does not list {unknown[0]}"
                more = f", nor {len(unknown) - 1} more" if len(unknown) > 1 else ""
                self.add_error("symbols", ValidationError(f"{text}{more}."))
        return values


@admin.register(KeptHistory)
class KeptHistoryAdmin(admin.ModelAdmin):
    form = KeptHistoryForm
    list_display = ("exchange", "since", "which_symbols", "which_timeframes", "is_active", "pairs")
    list_filter = ("is_active",)
    list_select_related = ("exchange",)
    search_fields = ("exchange__name", "exchange__display_name")
    fields = ("exchange", "since", "symbols", "timeframes", "is_active")

    def get_readonly_fields(self, request, obj=None):
        return ("exchange",) if obj else ()

    @admin.display(description="symbols")
    def which_symbols(self, kept):
        return SEPARATOR.join(kept.symbols) or "those monitored"

    @admin.display(description="timeframes")
    def which_timeframes(self, kept):
        return SEPARATOR.join(kept.timeframes) or "all six"

    @admin.display(description="what there is")
    def pairs(self, kept):
        query = urlencode({"exchange__id__exact": kept.exchange_id})
        url = f"{reverse('admin:history_pairhistory_changelist')}?{query}"
        many = kept.exchange.pair_histories.count()
        return format_html('<a href="{}">{} pairs</a>', url, many) if many else "nothing yet"


@admin.register(PairHistory)
class PairHistoryAdmin(LookedAt):
    list_display = ("symbol", "timeframe", "exchange", "brief", "candles", "size", "file_count")
    list_filter = ("exchange", "timeframe")
    list_select_related = ("exchange",)
    search_fields = ("symbol", "exchange__name")
    fields = (
        *("exchange", "symbol", "timeframe", "known", "asked_again"),
        *("candles", "size", "file_count", "place"),
    )
    readonly_fields = fields

    def get_queryset(self, request):
        sums = {"all_rows": Sum("files__rows"), "all_bytes": Sum("files__size")}
        return super().get_queryset(request).annotate(**sums, all_files=Count("files"))

    @admin.display(description="complete")
    def known(self, pair):
        return coverage_in_words(coverage_of(pair.coverage))

    @admin.display(description="complete")
    def brief(self, pair):
        text = coverage_in_brief(coverage_of(pair.coverage))
        return text.replace(" ", NO_BREAK).replace("-", NO_BREAK_HYPHEN)

    @admin.display(description="asked again")
    def asked_again(self, pair):
        stretches = [Unconfirmed(*each) for each in pair.unconfirmed]
        lines = [(stretch_in_words(each.start_ms, each.end_ms), _why(each)) for each in stretches]
        return format_html_join("", "<div>{}: {}</div>", lines) or "nothing"

    @admin.display(description="candles", ordering="all_rows")
    def candles(self, pair):
        return f"{pair.all_rows or 0:,}"

    @admin.display(description="bytes", ordering="all_bytes")
    def size(self, pair):
        return filesizeformat(pair.all_bytes or 0)

    @admin.display(description="files")
    def file_count(self, pair):
        url = reverse("admin:history_historyfile_changelist")
        query = urlencode({"pair__id__exact": pair.pk})
        return format_html('<a href="{}?{}">{}</a>', url, query, pair.all_files)

    @admin.display(description="place")
    def place(self, pair):
        return f"the one with the id {pair.store}"


def _why(each: Unconfirmed) -> str:
    seen = datetime.fromtimestamp(each.seen_ms / 1000, UTC)
    return f"{each.reason}, seen {seen:%Y-%m-%d %H:%M} UTC"


@admin.register(HistoryFile)
class HistoryFileAdmin(LookedAt):
    list_display = ("symbol", "timeframe", "exchange", "month", "rows", "bytes", "state")
    list_filter = ("pair__exchange", "pair__timeframe", "month")
    list_select_related = ("pair__exchange",)
    search_fields = ("path", "pair__symbol")
    fields = ("path", "pair", "month", "rows", "bytes", "digest", "state", "changed_at")
    readonly_fields = fields

    def lookup_allowed(self, lookup, value, request=None):
        return lookup == "pair__id__exact" or super().lookup_allowed(lookup, value, request)

    @admin.display(description="symbol", ordering="pair__symbol")
    def symbol(self, file):
        return file.pair.symbol

    @admin.display(description="exchange", ordering="pair__exchange")
    def exchange(self, file):
        return file.pair.exchange

    @admin.display(description="timeframe", ordering="pair__timeframe")
    def timeframe(self, file):
        return file.pair.timeframe

    @admin.display(description="bytes", ordering="size")
    def bytes(self, file):
        return filesizeformat(file.size)

    @admin.display(description="state")
    def state(self, file):
        if file.next_digest:
            return "is being written, or was cut off: the next write, or --verify, settles it"
        return "written" if file.digest else "set aside, not fetched again yet"


@admin.register(AuditRun)
class AuditRunAdmin(LookedAt):
    list_display = ("exchange", "started_at", "by", "result", "compared", "differing", "unknown")
    list_filter = ("exchange", "started_at")
    list_select_related = ("exchange", "second")
    search_fields = ("exchange__name",)
    fields = (
        *("exchange", "by", "started_at", "ended_at", "result", "compared", "differing", "unknown"),
        *("reason", "first_differences", "second", "second_compared", "second_beyond"),
        "second_reason",
    )
    readonly_fields = fields

    @admin.display(description="asked for by")
    def by(self, run):
        return f"an agent, in the night of {run.night}" if run.night else "a person"

    @admin.display(description="result")
    def result(self, run):
        if not run.is_over:
            return "under way, or ended by an error"
        if run.differing:
            return "candles differ"
        if run.second_beyond:
            return "far from the second exchange"
        return "some are unknown" if run.unknown else "all agree"

    @admin.display(description="the first that differ")
    def first_differences(self, run):
        lines = [
            (each["source"], each["symbol"], each["timeframe"], _time(each["timestamp"]),
             _numbers(each["kept"]), _numbers(each["told"]))
            for each in run.differences
        ]  # fmt: skip
        text = "<div>{}: {} {} {}: kept {}, told {}</div>"
        return format_html_join("", text, lines) or "none"


def _time(time_ms: int) -> str:
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC):%Y-%m-%d %H:%M} UTC"


def _numbers(row: list | None) -> str:
    return " ".join(f"{each:g}" for each in row[1:6]) if row else "no candle"
