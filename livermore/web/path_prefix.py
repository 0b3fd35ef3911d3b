"""Served below a path of a host, such as /livermore: who asks and what is answered agree on it."""

from django.conf import settings
from django.contrib.staticfiles.storage import StaticFilesStorage
from django.urls import get_script_prefix


class PathPrefix:
    """Lets what follows see each path with the one that we are below, once.

    That is LIVERMORE_ROOT_PATH, else what the server was started with. Some proxies pass it on in
    the path, others take it away; who asks from this machine leaves it out.
    """

    def __init__(self, application):
        self._application = application

    async def __call__(self, scope, receive, send):
        if scope["type"] in ("http", "websocket"):
            root = (settings.FORCE_SCRIPT_NAME or scope.get("root_path") or "").rstrip("/")
            path = scope["path"]
            if path != root and not path.startswith(f"{root}/"):
                path = root + path
            scope = {**scope, "root_path": root, "path": path}
        await self._application(scope, receive, send)


class StaticFiles(StaticFilesStorage):
    """Addresses of static files, below the path of the request that they are for."""

    @property
    def base_url(self) -> str:
        return f"{get_script_prefix()}static/"
