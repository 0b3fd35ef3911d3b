"""What browsers may do with our pages: run and load what this server sends, and nothing else."""

from collections.abc import Callable

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'{socket}; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'; object-src 'none'"
)
UNUSED = ("camera", "display-capture", "geolocation", "microphone", "midi", "payment", "usb")
PERMISSIONS = ", ".join(f"{each}=()" for each in UNUSED)


def content_security(get_response: Callable) -> Callable:
    """Send both policies with every answer.

    Django's own pages on errors, with LIVERMORE_DEBUG, have scripts and styles in them: they go
    without a policy.
    """

    def answer(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if not (settings.DEBUG and response.status_code >= 400):
            policy = POLICY.format(socket=_socket(request))
            response.headers.setdefault("Content-Security-Policy", policy)
        response.headers.setdefault("Permissions-Policy", PERMISSIONS)
        return response

    return answer


def _socket(request: HttpRequest) -> str:
    """Return the socket's origin: to some browsers 'self' doesn't mean it."""
    try:
        return f" {'wss' if request.is_secure() else 'ws'}://{request.get_host()}"
    except DisallowedHost:
        return ""
