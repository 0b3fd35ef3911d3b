"""The web side as daphne serves it: HTTP, and WebSockets beside it."""

import atexit
import os
import sys

from channels.routing import ProtocolTypeRouter, URLRouter
from channels.sessions import SessionMiddlewareStack
from django.conf import settings
from django.core.asgi import get_asgi_application

from livermore.running import embedded_redis

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "livermore.settings")

if "daphne.server" in sys.modules:  # it serves this, however it was started
    from livermore.observing.access_log import silence_daphne
    from livermore.web.limits.requests import limit_daphne

    limit_daphne()
    silence_daphne()

if settings.EMBEDDED_REDIS_DIR:
    atexit.register(embedded_redis.ensure_running(settings.EMBEDDED_REDIS_DIR).leave)

http_application = get_asgi_application()

# These need the models loaded.
from alerts.page.consumer import websocket_urlpatterns as of_alerts  # noqa: E402
from livermore.observing.access_log import AccessLog  # noqa: E402
from livermore.web.origins import FromOurPages  # noqa: E402
from livermore.web.path_prefix import PathPrefix  # noqa: E402
from warmup.network.socket.routing import websocket_urlpatterns  # noqa: E402

sockets = [*of_alerts, *websocket_urlpatterns]  # whose last refuses all other addresses

routes = {
    "http": http_application,
    "websocket": FromOurPages(SessionMiddlewareStack(URLRouter(sockets))),
}
application = AccessLog(PathPrefix(ProtocolTypeRouter(routes)))
