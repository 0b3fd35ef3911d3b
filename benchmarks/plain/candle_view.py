"""What one does first: a Django view that reads a pair's rows and writes them as Binance does."""

import django
import orjson
from django.apps import apps
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path
from django_redis import get_redis_connection

from livermore.market import keys
from livermore.market.timeframe import Timeframe


def klines(request: HttpRequest, name: str) -> JsonResponse:
    """Answer with the newest closed rows of a pair, whether or not any is missing."""
    native, timeframe = request.GET["symbol"], Timeframe(request.GET["interval"])
    symbol = apps.get_model("exchanges", "Symbol").objects.get(
        exchange__name=name, native_symbol=native
    )
    newest = get_redis_connection("default").zrange(
        keys.candles(symbol.exchange_id, symbol.symbol, timeframe), -int(request.GET["limit"]), -1
    )
    answer = JsonResponse([_row(orjson.loads(each), timeframe) for each in newest], safe=False)
    answer["Content-Length"] = len(answer.content)
    return answer


def _row(values: list, timeframe: Timeframe) -> list:
    opened, *numbers = values[:6]
    quote, trades, taken, paid = values[6:]
    texts = [f"{number:.8f}" for number in numbers]
    others = [f"{quote:.8f}", trades, f"{taken:.8f}", f"{paid:.8f}"]
    return [opened, *texts, opened + timeframe.ms - 1, *others, "0"]


urlpatterns = [path("<str:name>/api/v3/klines", klines)]


def _application():
    django.setup()
    settings.ROOT_URLCONF, settings.MIDDLEWARE = __name__, []
    return get_asgi_application()


application = _application()
