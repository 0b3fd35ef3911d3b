"""Exchanges, symbols and accounts in Django's admin."""

import logging
from functools import wraps
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Count, Q
from django.forms.models import BaseInlineFormSet
from django.http import HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html
from redis import RedisError

from exchanges import accounts
from exchanges.errors import LivermoreError
from exchanges.forms import AccountChoice, ExchangeForm, UserExchangeForm
from exchanges.models import Exchange, Symbol, UserExchange
from exchanges.redis.row_notifications import tell_row_changed
from exchanges.symbols import monitoring
from exchanges.symbols.fetch_listing import fetch_listing
from exchanges.venues import VENUES

logger = logging.getLogger(__name__)

INLINE_SYMBOLS = 50


def said_in_a_line(view):
    """Let a view say in a line, above the list, what was refused after the form was checked."""

    @wraps(view)
    def outside(self, request, *args, **kwargs):
        try:
            return view(self, request, *args, **kwargs)
        except ValidationError as error:
            self.message_user(request, " ".join(error.messages), messages.ERROR)
            return HttpResponseRedirect(
                reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist")
            )

    return outside


def _symbols_url(exchange, **filters):
    query = urlencode({"exchange__id__exact": exchange.pk, **filters})
    return f"{reverse('admin:exchanges_symbol_changelist')}?{query}"


class LookedAt(admin.ModelAdmin):
    """Rows that Livermore writes: nobody adds, changes or deletes them here."""

    def has_add_permission(self, request):
        return False

    def has_change_permission(self, request, obj=None):
        return False

    def has_delete_permission(self, request, obj=None):
        own = f"admin:{self.opts.app_label}_{self.opts.model_name}_"
        if request.resolver_match.view_name.startswith(own):
            return False
        return super().has_delete_permission(request, obj)  # they go along with an exchange


class FirstSymbols(BaseInlineFormSet):
    """The formset's rows, cut: an exchange may have thousands."""

    def get_queryset(self):
        if not hasattr(self, "_cut"):
            self._cut = super().get_queryset()[:INLINE_SYMBOLS]
        return self._cut


class MonitoredSymbolInline(admin.TabularInline):
    """Show the first monitored symbols; they are changed in their own list."""

    model = Symbol
    formset = FirstSymbols
    verbose_name_plural = f"monitored symbols (the first {INLINE_SYMBOLS})"
    fields = readonly_fields = ("native_symbol", "kind", "status", "updated_at")
    show_change_link = True
    extra = 0
    can_delete = False

    def get_queryset(self, request):
        return super().get_queryset(request).filter(is_monitored=True).order_by("symbol")

    def has_add_permission(self, request, obj=None):
        return False

    def has_change_permission(self, request, obj=None):
        return False


@admin.register(Exchange)
class ExchangeAdmin(admin.ModelAdmin):
    form = ExchangeForm
    list_display = (
        *("name", "display_name", "venue", "is_seen", "is_active", "pacing", "symbol_counts"),
    )
    list_filter = ("is_active", "venue", "pacing")
    search_fields = ("name", "display_name", "rest_url", "ws_url")
    fieldsets = (
        (None, {"fields": ("name", "display_name", "is_active", "wanted")}),
        ("Where", {"fields": ("venue", "seen", "rest_url", "ws_url", "archive_url", "proxy")}),
        ("Key", {"fields": ("account", "account_seen")}),
        ("How fast", {"fields": ("pacing", "batch_size", "batch_delay_ms")}),
        ("What", {"fields": ("symbol_counts", "created_at", "updated_at")}),
    )
    readonly_fields = ("seen", "symbol_counts", "created_at", "updated_at")
    inlines = (MonitoredSymbolInline,)
    actions = ("sync_symbols",)

    def formfield_for_foreignkey(self, db_field, request, **kwargs):
        if db_field.name == "account":
            kwargs["form_class"] = AccountChoice
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def get_fieldsets(self, request, obj=None):
        found = super().get_fieldsets(request, obj)
        if obj and self.has_change_permission(request, obj):
            return found
        # Nobody may choose, or there is nothing to choose from yet.
        keys = [("Key", {"fields": ("account",)})] if obj else []
        return [each for each in found if each[0] != "Key"] + keys

    def save_model(self, request, obj, form, change):
        accounts.save_choice(obj, form.account_shown)
        if "account" in form.changed_data:
            names = obj.account and f"{obj.account.api_key_env} and {obj.account.api_secret_env}"
            text = f"It uses the key of {obj.account}: {names}." if names else "It uses no key."
            self.message_user(request, f"{text} What runs follows within seconds.")

    @said_in_a_line
    def changeform_view(self, request, *args, **kwargs):
        return super().changeform_view(request, *args, **kwargs)

    def get_inlines(self, request, obj):
        return super().get_inlines(request, obj) if obj else ()

    def get_queryset(self, request):
        monitored = Count("symbols", filter=Q(symbols__is_monitored=True))
        return (
            super()
            .get_queryset(request)
            .annotate(symbols_monitored=monitored, symbols_known=Count("symbols"))
        )

    @admin.display(description="seen live", boolean=True)
    def is_seen(self, exchange):
        return exchange.venue in VENUES and VENUES[exchange.venue].seen_live

    @admin.display(description="seen live")
    def seen(self, exchange):
        return VENUES[exchange.venue].seen_in_words if exchange.venue in VENUES else "–"

    @admin.display(description="symbols")
    def symbol_counts(self, exchange):
        if exchange.pk is None:
            return "none yet: save, then choose the action “Sync symbols” in the list"
        return format_html(
            '<a href="{}">{} monitored</a> of <a href="{}">{}</a>',
            _symbols_url(exchange, is_monitored__exact=1),
            exchange.symbols_monitored,
            _symbols_url(exchange),
            exchange.symbols_known,
        )

    def has_sync_permission(self, request):
        return request.user.has_perms(
            ["exchanges.change_exchange", "exchanges.add_symbol", "exchanges.change_symbol"]
        )

    @admin.action(description="Sync symbols with the exchange's listing", permissions=["sync"])
    def sync_symbols(self, request, queryset):
        for exchange in queryset:
            try:
                report = fetch_listing(exchange)
            except (LivermoreError, RedisError) as error:  # Redis paces the request
                logger.warning("symbols.sync_failed exchange=%s error=%s", exchange.name, error)
                self.message_user(request, f"{exchange}: {_reason(error)}", messages.ERROR)
            else:
                tell_row_changed(exchange.pk)
                self.message_user(request, f"{exchange}: {report}.", messages.SUCCESS)


def _reason(error):
    if isinstance(error, RedisError):
        return f"Redis, which paces requests, does not answer: {error} Start it, then try again."
    return error


def _set_monitored(symbols, is_monitored):
    numbers = set(symbols.values_list("exchange_id", flat=True))
    count = monitoring.set_monitored(symbols, is_monitored)
    for number in numbers:
        tell_row_changed(number)
    return count


@admin.register(Symbol)
class SymbolAdmin(admin.ModelAdmin):
    list_display = (
        *("symbol", "exchange", "native_symbol", "kind", "status", "is_monitored", "updated_at"),
    )
    list_filter = ("exchange", "kind", "status", "is_monitored")
    list_select_related = ("exchange",)
    search_fields = ("symbol", "native_symbol")
    fields = (
        *("exchange", "symbol", "native_symbol", "kind", "alias", "base", "quote"),
        *("status", "status_since", "renamed_to", "is_monitored", "created_at", "updated_at"),
    )
    readonly_fields = tuple(name for name in fields if name != "is_monitored")
    actions = ("monitor", "unmonitor")

    def has_add_permission(self, request):
        return False  # symbols come from the exchange's listing

    @admin.action(description="Monitor selected symbols", permissions=["change"])
    def monitor(self, request, queryset):
        count = _set_monitored(queryset.listed(), True)
        gone = queryset.filter(status__in=Symbol.GONE).count()
        self.message_user(request, f"{count} symbols are monitored now that were not.")
        if gone:
            self.message_user(
                request,
                f"{gone} delisted symbols were left out: there are no candles of them.",
                messages.WARNING,
            )

    @admin.action(description="Stop monitoring selected symbols", permissions=["change"])
    def unmonitor(self, request, queryset):
        count = _set_monitored(queryset, False)
        self.message_user(request, f"{count} symbols are not monitored any more.")


@admin.register(UserExchange)
class UserExchangeAdmin(admin.ModelAdmin):
    form = UserExchangeForm
    list_display = (
        *("display_name", "user", "exchange", "is_active", "is_default"),
        *("environment", "last_connected_at"),
    )
    list_filter = ("is_active", "is_default", "exchange")
    list_select_related = ("user", "exchange")
    search_fields = ("display_name", "user__username", "exchange__name", "exchange__display_name")
    autocomplete_fields = ("user",)
    fieldsets = (
        (None, {"fields": ("user", "exchange", "display_name", "is_active", "is_default")}),
        (
            "Keys",
            {
                "fields": ("api_key_env", "api_secret_env", "passphrase_env", "environment"),
                "description": "Only the names of environment variables are kept here. "
                "Public candles need none.",
            },
        ),
        ("When", {"fields": ("last_connected_at", "created_at", "updated_at")}),
    )
    readonly_fields = ("environment", "last_connected_at", "created_at", "updated_at")
    actions = ("make_default",)

    @admin.display(description="environment")
    def environment(self, account):
        states = account.environment().items()
        lines = [f"{name}: {'set' if is_set else 'not set'}" for name, is_set in states]
        return ", ".join(lines) or None

    @said_in_a_line
    def changeform_view(self, request, *args, **kwargs):
        return super().changeform_view(request, *args, **kwargs)

    @said_in_a_line
    def delete_view(self, request, *args, **kwargs):
        return super().delete_view(request, *args, **kwargs)

    @said_in_a_line
    def changelist_view(self, request, *args, **kwargs):
        return super().changelist_view(request, *args, **kwargs)

    def get_deleted_objects(self, objs, request):
        found = super().get_deleted_objects(objs, request)
        kept = [text for account in objs if (text := account.why_kept("it is not deleted"))]
        return *found[:3], [*found[3], *kept]

    def save_model(self, request, obj, form, change):
        asked = obj.is_default
        accounts.save_account(obj)
        if obj.is_default and not asked:
            self.message_user(request, f"{obj} is the default: it is the only active account.")

    def delete_model(self, request, obj):
        accounts.delete_account(obj)

    def delete_queryset(self, request, queryset):
        with transaction.atomic():
            for account in queryset.order_by("user_id"):  # one order of locks: no deadlock
                accounts.delete_account(account)

    @admin.action(description="Make default", permissions=["change"])
    def make_default(self, request, queryset):
        chosen = list(queryset)
        if len({account.user_id for account in chosen}) < len(chosen):
            text = "A user has one default: choose one account of each user. Nothing was changed."
            self.message_user(request, text, messages.ERROR)
            return
        for account in chosen:
            try:
                accounts.make_default(account)
            except ValidationError as error:
                self.message_user(request, " ".join(error.messages), messages.ERROR)
            else:
                self.message_user(request, f"{account} is the default of {account.user} now.")
