"""Requests that can't be read: told so in a line before any page looks at them."""

import codecs
import re
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import reverse

from warmup.network.responses import wants_json

CHARSET = re.compile(r";\s*charset\s*=\s*(\"[^\"]*\"|[^;]*)", re.IGNORECASE)
READ = ("utf-8", "ascii")
NOT_UTF8 = "A request's charset is utf-8 here."
HOLDS_NUL = "A request holds no character 0 here."


class MalformedRequests:
    """Refuses other character sets than UTF-8, and character 0, which no database takes."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not _is_utf8(request.META.get("CONTENT_TYPE", "")):
            return _refused(request, NOT_UTF8, 415)
        in_address = "\0" in request.path or "%00" in request.META.get("QUERY_STRING", "")
        if in_address and not _has_own_words(request):
            return _refused(request, HOLDS_NUL, 400)
        return self._get_response(request)

    def process_view(self, request: HttpRequest, *_arguments) -> HttpResponse | None:
        if _has_own_words(request):
            return None
        if any("\0" in text for values in request.POST.lists() for text in values[1]):
            return _refused(request, HOLDS_NUL, 400)
        return None


def _has_own_words(request: HttpRequest) -> bool:
    """Tell whether it is for the Network page, which says of each field what is wrong with it."""
    return request.path.startswith(reverse("network:page"))


def _is_utf8(content_type: str) -> bool:
    for charset in CHARSET.findall(content_type):
        try:
            found = codecs.lookup(charset.strip().strip('"').strip()).name
        except (LookupError, ValueError):  # the second: what can't be a name
            return False
        if found not in READ:
            return False
    return True


def _refused(request: HttpRequest, text: str, status: int) -> HttpResponse:
    if wants_json(request):
        return JsonResponse({"ok": False, "text": text}, status=status)
    return HttpResponse(f"{text}\n", content_type="text/plain; charset=utf-8", status=status)
