"""What is told to those who watch a server: its health, and its metrics."""

import hmac

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from serving.admission import METRICS, Admission
from serving.counting.reports import Reports
from serving.health import Health
from serving.native.errors import as_json


class Watching:
    """Answers `/health/`, and `/metrics` for who brings its token, if that is set."""

    def __init__(self, health: Health, reports: Reports, admission: Admission, token: str):
        self._health = health
        self._reports = reports
        self._admission = admission
        self._token = token

    def add_to(self, router: web.UrlDispatcher) -> None:
        router.add_get("/health/", self._say_health)
        router.add_get("/metrics", self._metrics)

    async def _say_health(self, request: web.Request) -> web.StreamResponse:
        """Say whether Redis and the database can be read: 503 names what can't."""
        if failing := await self._health.failing():
            return as_json({"status": "unavailable", "failing": failing}, 503)
        return as_json({"status": "ok"})

    async def _metrics(self, request: web.Request) -> web.StreamResponse:
        """Tell Prometheus what all processes of this server have counted."""
        if not self._token:
            raise web.HTTPNotFound
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        sent = token.strip()
        is_token = scheme.lower() == "bearer" and sent.isascii() and sent != ""
        is_right = is_token and hmac.compare_digest(sent, self._token)
        if is_token:
            whose = METRICS if is_right else None
            if refused := await self._admission.refused_guess(request, sent, whose):
                return refused
        if not is_right:
            raise web.HTTPUnauthorized(headers={"WWW-Authenticate": 'Bearer realm="metrics"'})
        registry = CollectorRegistry(auto_describe=False)
        registry.register(await self._reports.collector())
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(registry), headers={"Content-Type": content_type})
