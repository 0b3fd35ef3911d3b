"""The web side as daphne serves it: HTTP now, WebSockets beside it."""

import atexit
import os

from channels.routing import ProtocolTypeRouter
from django.conf import settings
from django.core.asgi import get_asgi_application

from livermore import embedded_redis

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "livermore.settings")

if settings.EMBEDDED_REDIS_DIR:
    atexit.register(embedded_redis.ensure_running(settings.EMBEDDED_REDIS_DIR).leave)

application = ProtocolTypeRouter({"http": get_asgi_application()})
