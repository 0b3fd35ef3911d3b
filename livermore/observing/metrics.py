"""`/metrics` for Prometheus, to whoever brings the token; without a proper one it isn't there."""

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe
from django_redis import get_redis_connection
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from alerts.metrics import AlertCollector
from exchanges.redis.client import own_client
from exchanges.redis.unreadable import OnceAnHour
from history.following.metrics import HistoryCollector, HistoryCounts
from livermore import __version__
from livermore.checks import METRICS_TOKEN
from warmup.metrics.collect import ExchangeCollector
from warmup.metrics.completeness import Measured

TIMEOUT_SECONDS = 4.0  # Prometheus has ten
measured, news, counts = Measured(), OnceAnHour(), HistoryCounts()  # what outlives a scrape


@csrf_exempt
@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer with every exchange's metrics, in the format that the client accepts."""
    if not METRICS_TOKEN.fullmatch(settings.LIVERMORE_METRICS_TOKEN):
        raise Http404  # one that `check` refuses could be guessed
    if not _is_authorized(request):
        return HttpResponse(status=401, headers={"WWW-Authenticate": 'Bearer realm="metrics"'})
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    registry = CollectorRegistry(auto_describe=False)
    with own_client(get_redis_connection("default"), TIMEOUT_SECONDS) as redis:
        registry.register(ExchangeCollector(redis, measured, __version__, news))
        registry.register(HistoryCollector(redis, counts))
        registry.register(AlertCollector())
        return HttpResponse(encode(registry), content_type=content_type)


def _is_authorized(request: HttpRequest) -> bool:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    is_right = constant_time_compare(token.strip(), settings.LIVERMORE_METRICS_TOKEN)
    return scheme.lower() == "bearer" and is_right
