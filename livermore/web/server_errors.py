"""What is answered where our own code failed: 503 where the database is away, else 500."""

import logging
import sys

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.views import defaults

from livermore.observing.logs import word
from livermore.web.database_faults import first_line, is_away
from warmup.network.responses import wants_json

logger = logging.getLogger(__name__)

AWAY = "The database is away: nothing can be read or changed now. Try again in a moment."
AWAY_HEADER = "Livermore-Away"  # for the page's scripts: what is
RETRY_SECONDS = 10


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer in place of a page whose code raised an error."""
    error = sys.exc_info()[1]
    if is_away(error):
        logger.warning("web.no_database path=%s error=%s", word(request.path), first_line(error))
        return database_away(request)
    return defaults.server_error(request)


def database_away(request: HttpRequest) -> HttpResponse:
    """Say that the database is away; the page asks again by itself where it was only read."""
    if wants_json(request):
        response = JsonResponse({"ok": False, "text": AWAY}, status=503)
    else:
        again = RETRY_SECONDS if request.method in ("GET", "HEAD") else None
        # Without the request: whatever asks who looks would ask the database.
        text = render_to_string("unavailable.html", {"text": AWAY, "again": again})
        response = HttpResponse(text, status=503)
    response["Retry-After"] = str(RETRY_SECONDS)
    response["Cache-Control"] = "no-store"
    response[AWAY_HEADER] = "database"
    return response
