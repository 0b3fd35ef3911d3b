"""What is said to whom a host's name, or a form's origin, keeps out: which setting lacks which."""

import logging

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.middleware.csrf import REASON_NO_CSRF_COOKIE
from django.shortcuts import render
from django.views import defaults

from livermore.observing.logs import word
from livermore.web import origins
from warmup.network.responses import wants_json

logger = logging.getLogger(__name__)

OLD_FORM = (
    "This form is older than the last login, or of another site: reload its page, send it again."
)
NO_COOKIE = (
    "The browser sent no cookie with this form: let it keep those of this site, then reload."
)
HTTPS_ALONE = (
    "LIVERMORE_HTTPS is set, so cookies go over HTTPS alone, and this came over HTTP: use the "
    "HTTPS address, or, where a proxy speaks HTTPS, set LIVERMORE_BEHIND_PROXY=true."
)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer with 400; where the host's name isn't known here, say where it belongs."""
    if not isinstance(exception, DisallowedHost):
        return defaults.bad_request(request, exception)
    return _page(request, origins.host_fault(request.META.get("HTTP_HOST", "")), 400)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer with 403 to a form that may not be from our own pages, and say what is missing."""
    return _page(request, _csrf_fault(request, reason), 403)


def _csrf_fault(request: HttpRequest, reason: str) -> str:
    origin = request.headers.get("Origin", "")
    if origin and (text := origins.fault(request, origin)):
        logger.warning(
            "form.origin_refused origin=%s expected=%s missing_from=%s",
            word(origin), origins.own(request), origins.TRUSTED,
        )  # fmt: skip
        return text
    if reason == REASON_NO_CSRF_COOKIE:
        over_http = settings.CSRF_COOKIE_SECURE and not request.is_secure()
        return HTTPS_ALONE if over_http else NO_COOKIE
    return OLD_FORM


def _page(request: HttpRequest, text: str, status: int) -> HttpResponse:
    if wants_json(request):
        return JsonResponse({"ok": False, "text": text}, status=status)
    return render(request, "refused.html", {"title": "Refused", "text": text}, status=status)
