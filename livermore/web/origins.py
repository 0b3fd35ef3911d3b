"""Which pages may open a socket or send a form: those of this server, and whoever is trusted."""

import logging
from collections.abc import Callable

from channels.security.websocket import WebsocketDenier
from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.request import is_same_domain
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from livermore.observing.logs import word
from livermore.web.origin import USUAL_PORTS, normal

logger = logging.getLogger(__name__)

HOSTS, TRUSTED = "LIVERMORE_ALLOWED_HOSTS", "LIVERMORE_TRUSTED_ORIGINS"


def without_usual_port(get_response: Callable) -> Callable:
    """Take a port out of the Host header that browsers leave out of origins: proxies may add it.

    Which one that is depends on the scheme, so what tells of it is read first.
    """

    def take_in(request: HttpRequest) -> HttpResponse:
        _believe_our_own_proxy(request)
        usual = f":{USUAL_PORTS[request.scheme]}"
        if (host := request.META.get("HTTP_HOST", "")).endswith(usual):
            request.META["HTTP_HOST"] = host.removesuffix(usual)
        return get_response(request)

    return take_in


def _believe_our_own_proxy(request: HttpRequest) -> None:
    """Leave of several schemes the last: what stands before it the client may have sent."""
    if said := request.META.get("HTTP_X_FORWARDED_PROTO"):
        request.META["HTTP_X_FORWARDED_PROTO"] = said.rpartition(",")[2].strip()


def own(request: HttpRequest) -> str:
    """Return the origin of this server's pages as this client sees them. Raises DisallowedHost."""
    secure = request.is_secure() or settings.SECURE_SSL_REDIRECT
    return normal(f"{'https' if secure else 'http'}://{request.get_host()}")


def fault(request: HttpRequest, origin: str) -> str:
    """Say why a page from `origin` is not let in here, and what to set; empty where it is.

    Raises DisallowedHost.
    """
    here, there = own(request), normal(origin)
    if there and (there == here or any(_names(each, there) for each in _trusted())):
        return ""
    if not there:
        return f"A page without an origin of its own ({word(origin) or 'none'}) is not let in."
    hint = _hint(there, here)
    return f"{there} is not in {TRUSTED}, and this server knows its pages as {here}.{hint}"


def host_fault(host: str) -> str:
    """Say which setting lacks a host's name."""
    return f"The host {word(host) or '(none)'} is not in {HOSTS}: add the name that browsers use."


def _hint(there: str, here: str) -> str:
    if there.partition("://")[2] != here.partition("://")[2] or there.startswith("http:"):
        return ""
    if settings.LIVERMORE_BEHIND_PROXY:
        return " Or the proxy that speaks HTTPS is to set X-Forwarded-Proto."
    return " Or, where a proxy speaks HTTPS, LIVERMORE_BEHIND_PROXY=true is missing."


def _trusted() -> list[str]:
    return [origin for each in settings.CSRF_TRUSTED_ORIGINS if (origin := normal(each))]


def _names(trusted: str, origin: str) -> bool:
    """Tell whether an entry of the setting is this origin, or, with *., a domain that it is in."""
    scheme, _, place = trusted.partition("://")
    if not place.startswith("*."):
        return trusted == origin
    origins_scheme, _, origins_place = origin.partition("://")
    return scheme == origins_scheme and is_same_domain(origins_place, place[1:])


class FromOurPages:
    """Lets a socket be opened by our own pages and trusted ones; the log says who was refused.

    Browsers send an Origin with each of them. Whoever sends none is no page of ours.
    """

    def __init__(self, application):
        self._application = application

    async def __call__(self, scope, receive, send):
        request = _request(scope)
        if _refuses(request):
            return await WebsocketDenier()(scope, receive, send)
        return await self._application(scope, receive, send)


def _request(scope) -> ASGIRequest:
    """Return a socket's opening as the request that it is, so that both are judged alike."""
    scheme = "https" if scope.get("scheme") in ("wss", "https") else "http"
    request = ASGIRequest({**scope, "type": "http", "method": "GET", "scheme": scheme}, None)
    _believe_our_own_proxy(request)
    return request


def _refuses(request: HttpRequest) -> bool:
    origin = request.headers.get("Origin", "")
    try:
        if not fault(request, origin):
            return False
        logger.warning(
            "socket.origin_refused origin=%s expected=%s missing_from=%s",
            word(origin) or "none", own(request), TRUSTED,
        )  # fmt: skip
    except DisallowedHost:
        host = word(request.META.get("HTTP_HOST", "")) or "none"
        logger.warning("socket.host_refused host=%s missing_from=%s", host, HOSTS)
    return True


@never_cache
@require_safe
def socket_answer(request: HttpRequest) -> JsonResponse:
    """Say to a script whether a socket opened by a page from `?origin=` would be let in.

    A browser hides from scripts why a socket was refused.
    """
    text = fault(request, request.GET.get("origin", ""))
    return JsonResponse({"ok": not text, "text": text})
