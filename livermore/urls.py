"""Every address of the web side."""

from django.contrib import admin
from django.templatetags.static import static
from django.urls import include, path
from django.views.generic import RedirectView

from livermore.observing.health import live, ready
from livermore.observing.metrics import metrics
from livermore.web.origins import socket_answer

admin.autodiscover()
admin.site.site_header = admin.site.site_title = "Livermore"

handler400 = "livermore.web.client_errors.bad_request"
handler500 = "livermore.web.server_errors.server_error"


class Icon(RedirectView):
    """What browsers ask for by themselves where no page tells them of an icon."""

    def get_redirect_url(self, *args, **kwargs):
        return static("livermore.svg")


urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/network/alerts/", include("alerts.page.urls")),
    path(
        "admin/network/", include("warmup.network.urls")
    ),  # before the admin, which takes all the rest
    path("admin/", admin.site.urls),
    path("docs/", include("livermore.documents.urls")),
    path("favicon.ico", Icon.as_view()),
    path("health/", ready),
    path("health/live/", live),
    path("health/ready/", ready),
    path("metrics", metrics),
    path("ws/network/", socket_answer, name="socket"),  # what is no socket, at its address
    path("ws/alerts/", socket_answer, name="alerts-socket"),
]
