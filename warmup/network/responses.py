"""How the Network page's addresses answer: JSON to its scripts, pages to a browser without them.

    {"ok": bool, "text": one line, "html": fragment or absent, "errors": {field: [line]} or absent}

What was done leads a browser back to where it was, with a message; what is left to fill in is a
fragment, which stands on a page of its own there.
"""

from dataclasses import dataclass, field
from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse

NOTICE = "network/notice.html"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a request. `fragment` is a template, rendered with `context`.

    `back` is where a browser without scripts goes on; empty: to the page, or, where there is a
    fragment, nowhere. `bad`: it was done, and what was found is not well.
    """

    text: str
    status: int = 200
    errors: dict[str, list[str]] | None = None
    fragment: str = ""
    context: dict[str, Any] = field(default_factory=dict)
    back: str = ""
    bad: bool = False

    @property
    def ok(self) -> bool:
        """Tell whether what was asked for was done, and is well."""
        return self.status < 400 and not self.bad

    def response(self, request: HttpRequest) -> HttpResponse:
        """Return the answer in the form that the browser, or the script in it, asked for."""
        if wants_json(request):
            return JsonResponse(self._as_json(request), status=self.status)
        if self.fragment and (not self.ok or not self.back):
            if self.bad:
                messages.warning(request, self.text)
            return whole_page(request, self.fragment, self.status, self.text, self.context)
        level = messages.SUCCESS if self.ok else messages.ERROR
        messages.add_message(request, level, self.text)
        response = HttpResponseRedirect(self.back or reverse("network:page"))
        response.status_code = 303  # and ask for it with GET
        return response

    def _as_json(self, request: HttpRequest) -> dict[str, Any]:
        answer: dict[str, Any] = {"ok": self.ok, "text": self.text}
        if self.fragment:
            answer["html"] = render_to_string(self.fragment, self.context, request)
        if self.errors is not None:
            answer["errors"] = self.errors
        return answer


def wants_json(request: HttpRequest) -> bool:
    """Tell whether a script asks, by its `Accept` header."""
    return request.get_preferred_type(["text/html", "application/json"]) == "application/json"


def notice(request: HttpRequest, text: str, status: int) -> HttpResponse:
    """Return one line in place of what was asked for."""
    if wants_json(request):
        return JsonResponse({"ok": False, "text": text}, status=status)
    return whole_page(request, NOTICE, status, "Network", {"text": text})


def whole_page(
    request: HttpRequest, fragment: str, status: int, title: str, context: dict[str, Any]
) -> HttpResponse:
    """Return a fragment as a page of the admin."""
    around = {**admin.site.each_context(request), "title": title, "fragment": fragment}
    return render(request, "network/whole.html", around | context, status=status)
