"""The drawer of alerts, as a fragment for scripts and as a page of its own without them."""

from django.http import HttpRequest, HttpResponse

from alerts.page.reader import read_alerts
from warmup.network.guard import view_required
from warmup.network.responses import Answer, wants_json, whole_page

TITLE, FRAGMENT = "Alerts", "alerts/list.html"


@view_required
def alerts(request: HttpRequest) -> HttpResponse:
    """Show what is open, and what was within a day."""
    context = read_alerts(request.user)
    if wants_json(request):
        return Answer(TITLE, fragment=FRAGMENT, context=context).response(request)
    return whole_page(request, FRAGMENT, 200, TITLE, context)
