"""The addresses of the Network page: they check, let `actions` or `snapshot` work, and answer."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django_redis import get_redis_connection
from redis.exceptions import RedisError

from exchanges.errors import LivermoreError, UnknownSymbol, clip
from exchanges.lock.acquire import ExchangeLock, Held
from exchanges.lock.status import Holder
from exchanges.models import Exchange
from exchanges.redis.installation import installation_id, warnings
from livermore.market.candle import is_time
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe, parse_timeframe
from warmup.cache.candles import CandleCache
from warmup.network.actions.base import LONGEST_REASON
from warmup.network.actions.exchange import Actions
from warmup.network.actions.run import check_line
from warmup.network.guard import operate_form_required, operate_required, view_required
from warmup.network.page.older import read_older
from warmup.network.page.pair_links import read_links
from warmup.network.page.pair_view import BARS_AT_FIRST
from warmup.network.page.snapshot import read_exchange, read_network, read_pair
from warmup.network.page.symbols import read_listing
from warmup.network.past.reading import day_of, read_past
from warmup.network.permission import may_operate
from warmup.network.responses import Answer, notice, wants_json, whole_page
from warmup.network.signals.snapshot import read_signals

SYMBOLS_PROPOSED = 20
SYMBOLS_FORM = "network/dialogs/symbols.html"
SECONDS_FOR_VOLUMES = 4.0


@view_required
def page(request: HttpRequest) -> HttpResponse:
    """Show every exchange as it is now."""
    network = read_network(_redis(), request.user)
    context = {**admin.site.each_context(request), "title": "Network", "network": network}
    with suppress(RedisError):  # the page says itself that it is away
        context["not_alone"] = warnings(_redis(), installation_id())
    return render(request, "network/page.html", context)


@view_required
def signals(request: HttpRequest) -> HttpResponse:
    """Show MACD-V, price and volume of all symbols."""
    found = read_signals(_redis())
    if wants_json(request):
        return JsonResponse(found)
    context = {**admin.site.each_context(request), "title": "Signals", "signals": found}
    return render(request, "network/signals.html", context)


@view_required
def pair(request: HttpRequest, exchange: Exchange, symbol: str, timeframe: str) -> HttpResponse:
    """Show one pair's candles, and what is missing of them."""
    try:
        found = _pair(exchange, symbol, timeframe)
    except (UnknownSymbol, ValueError) as error:
        return notice(request, clip(str(error)), 404)
    now_ms = int(time.time() * 1000)
    time_ms = read_exchange(_redis(), exchange, now_ms).time_ms(now_ms)
    row = exchange.symbols.get(symbol=found[0])
    idle = row.status != row.Status.TRADING
    for why in CandleCache(_redis(), exchange.pk).aside([Pair(*found)]).values():
        return notice(request, f"Redis refused a command, WRONGTYPE: {why}", 503)
    if before := request.GET.get("before"):
        if not is_time(before_ms := int(before) if before.isdecimal() else 0):
            return notice(request, f"before: {clip(before)} is no time in milliseconds.", 400)
        return JsonResponse(read_older(_redis(), exchange, Pair(*found), time_ms, before_ms))
    view = read_pair(_redis(), exchange.pk, *found, time_ms, idle)
    if wants_json(request):
        return JsonResponse(view.as_json())
    context = {
        **admin.site.each_context(request),
        "title": f"{found[0]} {found[1]}",
        "exchange": exchange,
        "pair": view.newest(BARS_AT_FIRST).as_json(),
        "links": read_links(row, found[1], request.user),
        "status": row.status_text if idle else "",
        "since": row.status_since,
        "may_operate": may_operate(request.user),
    }
    return render(request, "network/pair.html", context)


@view_required
def past(request: HttpRequest, exchange: Exchange) -> HttpResponse:
    """Show what became of an exchange in the last thirty days, and one of them closely."""
    now = timezone.now()
    try:
        day = day_of(request.GET.get("day", ""), now)
    except ValueError as error:
        return notice(request, f"day: {clip(str(error))}.", 400)
    found = read_past(exchange, now, day)
    if wants_json(request):
        return JsonResponse(found.as_json())
    context = {
        **admin.site.each_context(request),
        "title": f"Past of {exchange}",
        "exchange": exchange,
        "past": found,
        "now_ms": int(now.timestamp() * 1000),
    }
    return render(request, "network/past.html", context)


@view_required
def symbols(request: HttpRequest, exchange: Exchange) -> HttpResponse:
    """Propose symbols that could be added, those that begin with what was typed first."""
    typed = request.GET.get("q", "").strip().upper()
    listed = exchange.symbols.listed().filter(is_monitored=False)
    names = {name: name.upper() for name in listed.values_list("symbol", flat=True)}
    found = [name for name, capitals in names.items() if typed in capitals]
    found.sort(key=lambda name: (not names[name].startswith(typed), name))
    return JsonResponse({"symbols": found[:SYMBOLS_PROPOSED]})


@operate_required
def connect(request: HttpRequest, exchange: Exchange) -> HttpResponse:
    """Let an exchange run; with a `holder` in the form, take it over from that one."""
    actions, instance_id = _actions(request, exchange), request.POST.get("holder", "")
    try:
        if instance_id:
            text = actions.take_over(instance_id, request.POST.get("confirm", ""))
        else:
            text = actions.connect()
    except Held as held:
        text = f"{exchange.name} is held by {held.holder}."
        return _take_over_form(request, exchange, held.holder, text, 409)
    except ValidationError as error:
        holder = ExchangeLock(_redis(), exchange.pk).holder()
        if instance_id and holder:
            errors = error.message_dict
            return _take_over_form(request, exchange, holder, _line(error), 400, errors)
        return _refusal(error).response(request)
    except LivermoreError as error:
        return _refusal(error).response(request)
    return Answer(text).response(request)


@operate_required
def stop(request: HttpRequest, exchange: Exchange) -> HttpResponse:
    """Let an exchange run no more."""
    return _done(_actions(request, exchange).stop).response(request)


@operate_required
def warm(request: HttpRequest, exchange: Exchange) -> HttpResponse:
    """Fill what is short, now."""
    return _done(_actions(request, exchange).warm).response(request)


@operate_required
def repair(request: HttpRequest, exchange: Exchange) -> HttpResponse:
    """Fetch what is missing, of one pair where the form names one; then back to its page."""
    symbol, timeframe = request.POST.get("symbol", ""), request.POST.get("timeframe", "")
    answer = _done(_actions(request, exchange).repair, symbol, timeframe)
    try:
        back = reverse("network:pair", args=[exchange.pk, *_pair(exchange, symbol, timeframe)])
    except (UnknownSymbol, ValueError):
        back = ""
    return replace(answer, back=back).response(request)


@operate_form_required
def choose_symbols(request: HttpRequest, exchange: Exchange) -> HttpResponse:
    """Show the listing, to choose from; a script that waits for volumes says so by `wait`."""
    waits = not wants_json(request) or "wait" in request.GET
    context = read_listing(_redis(), exchange, request.GET, SECONDS_FOR_VOLUMES * waits)
    text = f"Symbols of {exchange}"
    if wants_json(request):
        return Answer(text, fragment=SYMBOLS_FORM, context=context).response(request)
    return whole_page(request, SYMBOLS_FORM, 200, text, context)


@operate_required
def add_symbols(request: HttpRequest, exchange: Exchange) -> HttpResponse:
    """Keep the symbols warm that the form names."""
    actions = _actions(request, exchange)
    return _change_symbols(request, exchange, actions, actions.add_symbols, _typed(request))


@operate_required
def remove_symbols(request: HttpRequest, exchange: Exchange) -> HttpResponse:
    """Keep the symbols warm no longer that the form names."""
    actions = _actions(request, exchange)
    return _change_symbols(request, exchange, actions, actions.remove_symbols, _typed(request))


@operate_required
def add_most_traded(request: HttpRequest, exchange: Exchange) -> HttpResponse:
    """Keep the most traded symbols warm too, as many as the form says of the quote it says."""
    actions = _actions(request, exchange)
    asked = [request.POST.get(name, "") for name in ("count", "of", "kind_of")]
    return _change_symbols(request, exchange, actions, actions.add_most_traded, *asked)


@operate_required
def undo_symbols(request: HttpRequest, exchange: Exchange) -> HttpResponse:
    """Take a change of symbols back."""
    actions, token = _actions(request, exchange), request.POST.get("change", "")
    return _change_symbols(request, exchange, actions, actions.undo_symbols, token)


@operate_required
def sync_symbols(request: HttpRequest, exchange: Exchange) -> HttpResponse:
    """Fetch the exchange's listing; then back to the form of symbols, where it was asked there."""
    actions = _actions(request, exchange)
    if "choose" in request.POST:
        return _change_symbols(request, exchange, actions, actions.sync_symbols)
    return _done(actions.sync_symbols).response(request)


@operate_required
def check(request: HttpRequest, exchange: Exchange) -> HttpResponse:
    """Try the exchange from its row to live frames, which takes up to a minute."""
    actions = _actions(request, exchange)
    try:
        report = actions.check(request.POST.get("symbol", ""))
    except (LivermoreError, ValidationError) as error:
        return _refusal(error).response(request)
    context = {"exchange": exchange, "report": report.as_json()}
    text = f"{exchange.name}: {check_line(report)}."
    bad = not report.passed
    return Answer(text, fragment="network/dialogs/check.html", context=context, bad=bad).response(
        request
    )


def _redis():
    return get_redis_connection("default")


def _actions(request: HttpRequest, exchange: Exchange) -> Actions:
    return Actions(_redis(), exchange, request.user, request.POST.get("reason", ""))


def _done(work: Callable[..., str], *arguments: str) -> Answer:
    """Let an action work; return what it says, or why it was refused."""
    try:
        return Answer(work(*arguments))
    except (LivermoreError, ValidationError) as error:
        return _refusal(error)


def _refusal(error: LivermoreError | ValidationError) -> Answer:
    if isinstance(error, ValidationError):
        return Answer(_line(error), 400, error.message_dict)
    errors = {"symbols": [str(error)]} if isinstance(error, UnknownSymbol) else None
    return Answer(str(error), 400, errors)


def _line(error: ValidationError) -> str:
    return " ".join(error.messages)


def _pair(exchange: Exchange, symbol: str, timeframe: str) -> tuple[str, Timeframe]:
    """Return a pair that exists. Raises UnknownSymbol, ValueError."""
    # Compared here: what was sent may be no text that a database takes.
    if symbol not in exchange.symbols.values_list("symbol", flat=True):
        raise UnknownSymbol(f"{exchange.name} does not list {clip(symbol)}.")
    return symbol, parse_timeframe(timeframe)


def _take_over_form(
    request: HttpRequest,
    exchange: Exchange,
    holder: Holder,
    text: str,
    status: int,
    errors: dict[str, list[str]] | None = None,
) -> HttpResponse:
    now_ms = int(time.time() * 1000)
    view = read_exchange(_redis(), exchange, now_ms)
    age_ms = view.status_age_ms  # by Redis's clock: the holder's own may be off
    context = {
        "exchange": exchange,
        "holder": holder,
        "heartbeat": view.status.heartbeat if age_ms is None else now_ms - age_ms,
        "server_time": now_ms,
        "reason": request.POST.get("reason", "")[:LONGEST_REASON],
        "confirm": request.POST.get("confirm", "") if errors else "",
        "errors": errors or {},
    }
    answer = Answer(text, status, errors, "network/dialogs/takeover.html", context)
    return answer.response(request)


def _typed(request: HttpRequest) -> str:
    return ", ".join(filter(None, request.POST.getlist("symbols")))


def _change_symbols(
    request: HttpRequest,
    exchange: Exchange,
    actions: Actions,
    change: Callable[..., str],
    *arguments: str,
) -> HttpResponse:
    """Change symbols; answer with the form as it is after that, with what can be undone."""
    answer = _done(change, *arguments)
    if not answer.ok and wants_json(request):  # the form stays, with what was chosen in it
        return answer.response(request)
    context = read_listing(_redis(), exchange, request.POST)
    if answer.ok:
        context |= {"said": answer.text, "undo": actions.undo}
    else:
        context |= {"typed": _typed(request), "errors": [answer.text]}
    return replace(answer, fragment=SYMBOLS_FORM, context=context).response(request)
