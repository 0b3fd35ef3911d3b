"""What browsers may do with our pages: run and load what this server sends, and nothing else."""

import secrets
from collections.abc import Callable

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'{nonce}; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'{socket}; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'; object-src 'none'"
)
UNUSED = ("camera", "display-capture", "geolocation", "microphone", "midi", "payment", "usb")
PERMISSIONS = ", ".join(f"{each}=()" for each in UNUSED)


def content_security(get_response: Callable) -> Callable:
    """Send both policies with every answer.

    A page whose library puts styles into it says `request.style_nonce`: those with it are let in.
    Django's own pages on errors, with LIVERMORE_DEBUG, have scripts and styles in them: they go
    without a policy.
    """

    def answer(request: HttpRequest) -> HttpResponse:
        request.style_nonce = Nonce()
        response = get_response(request)
        if not (settings.DEBUG and response.status_code >= 400):
            policy = POLICY.format(socket=_socket(request), nonce=request.style_nonce.source())
            response.headers.setdefault("Content-Security-Policy", policy)
        response.headers.setdefault("Permissions-Policy", PERMISSIONS)
        return response

    return answer


class Nonce:
    """A word that nobody can guess, made when a template writes it."""

    def __init__(self):
        self._text = ""

    def __str__(self) -> str:
        self._text = self._text or secrets.token_urlsafe(16)
        return self._text

    def source(self) -> str:
        """Return it as a policy names it, empty where no template wrote it."""
        return f" 'nonce-{self._text}'" if self._text else ""


def _socket(request: HttpRequest) -> str:
    """Return the socket's origin: to some browsers 'self' doesn't mean it."""
    try:
        return f" {'wss' if request.is_secure() else 'ws'}://{request.get_host()}"
    except DisallowedHost:
        return ""
