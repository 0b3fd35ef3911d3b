"""Channels, rules and what was told, in Django's admin: no address is shown, or asked for."""

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import Count, Q
from django.http import HttpResponseRedirect
from django.template.defaultfilters import date as date_text
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html

from alerts.delivery.sending import service_at, tell
from alerts.evaluating.texts import TEST
from alerts.kinds import KINDS
from alerts.models import Alert, AlertChannel, AlertRule, Delivery
from alerts.variables import NO_NAME, address_in
from exchanges.admin import LookedAt
from exchanges.forms import SEPARATOR, ForgetfulForm, SymbolsField, TimeframesField
from exchanges.models import Symbol
from livermore.market.decimal_text import plain
from warmup.human_readable import count, duration

TRY = "_test"  # the button's name
WHEN = "Y-m-d H:i"
NOT_SET = (
    "{variable} is not set in the web server's environment. That is enough if it is set where "
    "`alerts` runs; a test from here needs it here too."
)


class AlertChannelForm(ForgetfulForm):
    may_be_secret = ("variable",)

    class Meta:
        model = AlertChannel
        fields = ("name", "variable", "is_active")
        error_messages = {
            "name": {"unique": "There is a channel of this name already."},
            "variable": {"max_length": NO_NAME},
        }

    def clean_variable(self):
        variable = self.cleaned_data["variable"]
        if address := address_in(variable):
            try:
                service_at(address)
            except ValidationError as error:
                raise ValidationError(f"What {variable} holds: {error.messages[0]}.") from None
        return variable


@admin.register(AlertChannel)
class AlertChannelAdmin(admin.ModelAdmin):
    form = AlertChannelForm
    change_form_template = "alerts/change_channel.html"
    list_display = ("name", "variable", "is_active", "rule_count", "waiting", "last")
    list_filter = ("is_active",)
    search_fields = ("name", "variable")
    fields = ("name", "variable", "is_active", "waiting", "last")
    readonly_fields = ("waiting", "last")

    def get_fields(self, request, obj=None):
        return self.fields if obj else self.form.Meta.fields

    def get_queryset(self, request):
        waits = Q(deliveries__state__in=(Delivery.State.WAITING, Delivery.State.SENDING))
        return (
            super()
            .get_queryset(request)
            .annotate(
                waiting_count=Count("deliveries", filter=waits, distinct=True),
                all_rules=Count("rules", distinct=True),
            )
        )

    @admin.display(description="rules", ordering="all_rules")
    def rule_count(self, channel):
        return channel.all_rules

    @admin.display(description="messages that wait", ordering="waiting_count")
    def waiting(self, channel):
        if not channel.waiting_count:
            return "none"
        first = channel.deliveries.exclude(fault="").exclude(state=Delivery.State.DELIVERED).first()
        return f"{channel.waiting_count}{f': {first.fault}' if first else ''}"

    @admin.display(description="last message")
    def last(self, channel):
        found = channel.deliveries.order_by("-changed_at").first()
        if found is None:
            return "none yet"
        at = date_text(found.changed_at, WHEN)
        return f"{found.get_state_display()} {at} UTC"

    def save_model(self, request, obj, form, change):
        super().save_model(request, obj, form, change)
        if not address_in(obj.variable):
            messages.warning(request, NOT_SET.format(variable=obj.variable))

    def response_change(self, request, obj):
        if TRY not in request.POST:
            return super().response_change(request, obj)
        outcome = tell(obj, TEST.format(name=obj.name))
        if outcome.is_sent:
            messages.success(request, f"{obj}: the test message was taken.")
        else:
            messages.error(request, f"{obj}: {outcome.fault}.")
        return HttpResponseRedirect(request.path)


class AlertRuleForm(forms.ModelForm):
    symbols = SymbolsField(empty="all")
    timeframes = TimeframesField()

    class Meta:
        model = AlertRule
        fields = (
            *("what", "exchange", "symbols", "timeframes", "threshold", "cool_down"),
            *("quiet_from", "quiet_until", "channel", "is_active"),
        )

    def clean(self):
        values = super().clean()
        kind = KINDS.get(values.get("what") or "")
        if kind is None:
            return values
        symbols, exchange = values.get("symbols"), values.get("exchange")
        if exchange and kind.of_installation:
            self.add_error("exchange", "This is about the whole installation: choose no exchange.")
        if symbols and not (kind.by_pair or kind.by_symbol):
            self.add_error("symbols", "This is about an exchange as a whole: leave it empty.")
        elif symbols and (unknown := _unknown(exchange, symbols)):
            who = f"{exchange} does not list" if exchange else "No exchange lists"
            self.add_error("symbols", f"{who} {unknown}.")
        if values.get("timeframes") and not kind.by_pair:
            self.add_error("timeframes", "This has no timeframe: choose none.")
        elif values.get("timeframes") and kind.whole and not symbols:
            self.add_error("symbols", "Name symbols too: without, it is about all of an exchange.")
        return values


def _unknown(exchange, symbols):
    listed = exchange.symbols if exchange else Symbol.objects
    known = set(listed.filter(symbol__in=symbols).values_list("symbol", flat=True))
    return next((each for each in symbols if each not in known), "")


@admin.register(AlertRule)
class AlertRuleAdmin(admin.ModelAdmin):
    form = AlertRuleForm
    list_display = (
        *("about", "exchange_or_all", "which", "from_when_on", "channel_or_page", "open_count"),
        "is_active",
    )
    list_filter = ("is_active", "channel", "what", "exchange")
    list_select_related = ("exchange", "channel")
    actions = ("activate", "deactivate")
    fieldsets = (
        (None, {"fields": ("what", "exchange", "symbols", "timeframes", "threshold")}),
        (
            "Who is told, and when",
            {"fields": ("channel", "cool_down", "quiet_from", "quiet_until")},
        ),
        (None, {"fields": ("is_active",)}),
    )

    def get_queryset(self, request):
        still = Count("alerts", filter=Q(alerts__resolved_at=None))
        return super().get_queryset(request).annotate(all_open=still)

    def formfield_for_dbfield(self, db_field, request, **options):
        field = super().formfield_for_dbfield(db_field, request, **options)
        if db_field.name == "threshold":
            field.help_text = f"{field.help_text} {usual_thresholds()}"
        return field

    @admin.display(description="told when", ordering="what")
    def about(self, rule):
        return KINDS[rule.what].label if rule.what in KINDS else rule.what

    @admin.display(description="exchange", ordering="exchange")
    def exchange_or_all(self, rule):
        return rule.exchange or "all"

    @admin.display(description="pairs")
    def which(self, rule):
        return SEPARATOR.join([*rule.symbols, *rule.timeframes]) or "all"

    @admin.display(description="threshold")
    def from_when_on(self, rule):
        kind = KINDS.get(rule.what)
        if kind is None or not kind.unit or not rule.limit:
            return "at once"
        return f"{plain(rule.limit).removesuffix('.0')} {kind.unit}"

    @admin.display(description="channel", ordering="channel")
    def channel_or_page(self, rule):
        return rule.channel or "on the page only"

    @admin.display(description="open", ordering="all_open")
    def open_count(self, rule):
        if not rule.all_open:
            return "none"
        url = reverse("admin:alerts_alert_changelist")
        return format_html('<a href="{}?rule__id__exact={}">{}</a>', url, rule.pk, rule.all_open)

    @admin.action(description="Activate", permissions=["change"])
    def activate(self, request, queryset):
        queryset.update(is_active=True)

    @admin.action(description="Deactivate: what is open ends without a message",
                  permissions=["change"])  # fmt: skip
    def deactivate(self, request, queryset):
        queryset.update(is_active=False)


def usual_thresholds():
    """Return the thresholds that count where none is given, in a sentence."""
    told = [f"{kind.label}: {kind.threshold:g}" for kind in KINDS.values() if kind.threshold]
    return f"Usual: {', '.join(told)}; all others at once."


def first_line(text):
    """Return what a message says first: the rest is numbers, of several pairs at times."""
    return text.partition("\n")[0]


class OpenFilter(admin.SimpleListFilter):
    title, parameter_name = "state", "state"

    def lookups(self, request, model_admin):
        return (("open", "open"), ("over", "over"))

    def queryset(self, request, queryset):
        if self.value() is None:
            return queryset
        return queryset.filter(resolved_at__isnull=self.value() == "open")


class DeliveryInline(admin.TabularInline):
    model = Delivery
    fields = ("channel", "is_end", "state", "tries", "fault", "changed_at", "next_try_at")
    readonly_fields = fields
    extra = 0
    can_delete = False

    def has_add_permission(self, request, obj=None):
        return False


@admin.register(Alert)
class AlertAdmin(LookedAt):
    list_display = ("headline", "state", "first_seen", "lasted_for", "message")
    list_filter = (OpenFilter, "what", "exchange")
    list_select_related = ("exchange", "rule")
    search_fields = ("text",)
    date_hierarchy = "first_seen"
    fields = (
        *("text", "what", "exchange", "rule", "all_members", "first_seen", "last_seen"),
        *("resolved_at", "told_at", "end_told_at"),
    )
    readonly_fields = fields
    inlines = (DeliveryInline,)

    def lookup_allowed(self, lookup, value, request=None):
        return lookup == "rule__id__exact" or super().lookup_allowed(lookup, value, request)

    def get_queryset(self, request):
        return super().get_queryset(request).prefetch_related("deliveries__channel")

    @admin.display(description="text", ordering="text")
    def headline(self, alert):
        return first_line(alert.text)

    @admin.display(description="state", ordering="resolved_at")
    def state(self, alert):
        if alert.is_moment:
            return "happened"
        return "over" if alert.resolved_at else "open"

    @admin.display(description="lasted")
    def lasted_for(self, alert):
        if alert.is_moment:
            return ""
        end = alert.resolved_at or timezone.now()
        return duration(1000 * (end - alert.first_seen).total_seconds())

    @admin.display(description="told")
    def message(self, alert):
        found = [each for each in alert.deliveries.all() if not each.is_end]
        if found:
            return f"{found[0].channel}: {found[0].get_state_display()}"
        if alert.told_at:
            return "on the page"
        if alert.is_late:
            return "not told, as it came late"
        return "over before it could be" if alert.resolved_at and not alert.is_moment else "waits"

    @admin.display(description="subjects")
    def all_members(self, alert):
        return SEPARATOR.join(filter(None, sorted(alert.members))) or "the whole"


@admin.register(Delivery)
class DeliveryAdmin(LookedAt):
    list_display = ("headline", "channel", "is_end", "state", "tries", "fault", "changed_at")
    list_filter = ("state", "channel")
    list_select_related = ("channel",)
    search_fields = ("text",)
    fields = (
        *("text", "alert", "channel", "is_end", "state", "tries", "fault"),
        *("created_at", "changed_at", "next_try_at"),
    )
    readonly_fields = fields
    actions = ("try_again",)

    @admin.display(description="text", ordering="text")
    def headline(self, delivery):
        return first_line(delivery.text)

    def has_try_permission(self, request):
        return request.user.has_perm("alerts.change_alertchannel")

    @admin.action(description="Try again now", permissions=["try"])
    def try_again(self, request, queryset):
        ended = queryset.filter(state__in=(Delivery.State.WAITING, Delivery.State.FAILED))
        many = ended.update(state=Delivery.State.WAITING, tries=0, next_try_at=timezone.now())
        messages.success(request, f"{count(many, 'message')} will be tried again within seconds.")
