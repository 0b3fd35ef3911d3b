"""The OpenAPI document, held to the routes, to what is read, and to real answers."""

import asyncio
from collections import defaultdict
from urllib.parse import urlencode

import orjson
import pytest
import requests
from aiohttp.test_utils import TestClient, TestServer
from django.db import OperationalError
from openapi_spec_validator import validate

from exchanges.errors import Unreachable
from exchanges.redis.client import make_client
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe
from serving.models import ApiClient
from serving.native.parameters import Sent
from serving.server import Server
from tests.conftest import SERVER
from tests.serving.conftest import Filled, FixedDirectory
from tests.serving.native.described import (
    check,
    check_answer,
    described,
    operations,
    parameters,
)
from tests.serving.serving import served
from warmup.cache.indicators import IndicatorCache

WHOLE = {"exchange": "sandbox", "symbol": "BTC-USD", "timeframe": "1h"}
OF_PATH = {"/v1/candles": WHOLE, "/v1/exchanges": {}, "/v1/openapi.json": {}}
STAYS = "/v1/events"
IN_MEMORY = ("/v1/exchanges", "/v1/symbols", "/v1/openapi.json")


def least(path):
    """Return the parameters that a path needs."""
    return OF_PATH.get(path, {"exchange": "sandbox"})


def get(ask, requests_, **options):
    """Return status, headers and body of each GET: path, parameters, headers."""

    async def fetch():
        async with ask(**options) as client:
            found = []
            for path, params, headers in requests_:
                query = urlencode(params)
                async with client.get(f"{path}?{query}", headers=headers) as answer:
                    stays = answer.content_type == "text/event-stream"
                    body = b"" if stays else await answer.read()
                    found.append((answer.status, answer.headers, body))
            return found

    return asyncio.run(fetch())


@pytest.fixture
def full(redis, monkeypatch):
    """As many candles as are kept, and a time at which none is about to end."""

    def fail(*stretch):
        raise Unreachable("nobody answers here")

    monkeypatch.setattr("serving.fetching.stretches.fetch_once", fail)
    monkeypatch.setattr("serving.candles.cached.EARLY_MS", 0)
    return Filled(redis, count=1000)


def test_it_is_a_document_of_openapi_and_served_as_one(ask, redis):
    ((status, _, body),) = get(ask, [("/v1/openapi.json", {}, {})])
    assert status == 200
    assert orjson.loads(body) == described()
    assert described()["openapi"] == "3.1.0"
    validate(described())


def test_every_route_is_in_it_and_it_has_no_other(redis):
    routes = defaultdict(set)
    for route in Server(redis, SERVER.url).application().router.routes():
        path = route.resource.canonical.replace("/fapi/v1/", "/fapi/")  # is Binance's
        start, own, path = path.partition("/v1/")
        if own:
            routes[f"/v1/{path}"].add((start, route.method))
    assert set(routes) == set(described()["paths"])
    for path, found in routes.items():
        assert {("", "GET"), ("/k/{token}", "GET")} <= found
        assert {method for _, method in found} <= {"GET", "HEAD"}
        assert set(described()["paths"][path]) == {"get"}
    assert {each["url"] for each in described()["servers"]} == {"/", "/k/{token}"}


def test_every_parameter_that_is_read_is_in_it_and_it_has_no_other(ask, full, monkeypatch):
    was_read, sent = defaultdict(set), Sent.__getitem__

    def note(self, parameter):
        was_read[asking].add(parameter.name)
        return sent(self, parameter)

    monkeypatch.setattr(Sent, "__getitem__", note)
    for asking in operations():
        ((status, _, body),) = get(ask, [(asking, least(asking), {})])
        assert status == 200, body
    assert {path: set(parameters(path)) for path in operations()} == {
        path: was_read[path] for path in operations()
    }


def wrong_values(parameter):
    """Return texts that a parameter's schema excludes."""
    schema = parameter["schema"]
    kinds = schema.get("anyOf", [schema])
    for kind in kinds:
        match kind:
            case {"type": "integer", "enum": _}:
                yield from ("2", "-1", "", "yes")
            case {"type": "integer", "minimum": least_, "maximum": most}:
                yield from (str(least_ - 1), str(most + 1), "-5", "1.5", "x", "٣")
            case {"enum": _} | {"pattern": _}:
                yield from ("nope", "0", "1h,")
            case {"type": "array", "items": {"enum": _}}:
                yield from ("nope", "1h,nope", ",", "")
            case {"type": "array"}:
                yield from (",", "")
            case {"format": _}:
                yield from ("yesterday", "2026-13-01", "")
            case {"minLength": 1}:
                yield ""


def right_values(parameter):
    """Return texts that a parameter's schema takes, those at its bounds among them."""
    match parameter["schema"]:
        case {"enum": values}:
            yield from map(str, values)
        case {"type": "integer", "minimum": least_, "maximum": most}:
            yield from (str(least_), str(most))
        case {"type": "array", "items": {"enum": values}}:
            yield from ("1h", ",".join(values))


CASES = [(path, name) for path in operations() for name in parameters(path)]


@pytest.mark.parametrize(("path", "name"), CASES)
def test_what_it_excludes_is_refused_and_what_it_takes_is_not(ask, full, path, name):
    found = parameters(path)[name]
    in_header = found["in"] == "header"

    def asking(value):
        if in_header:
            return path, least(path), {name: value}
        return path, least(path) | {name: value}, {}

    wrong = [asking(each) for each in wrong_values(found)]
    assert wrong
    if found["required"]:
        wrong.append((path, {key: least(path)[key] for key in least(path) if key != name}, {}))
    if not in_header:
        given = [*least(path).items(), (name, "1h"), (name, "1h")]
        wrong.append((path, given, {}))
    for what, (status, headers, body) in zip(wrong, get(ask, wrong), strict=True):
        assert status == 400, (what, body)
        check_answer(path, status, headers, body)
    right = [asking(each) for each in right_values(found)]
    for what, (status, headers, body) in zip(right, get(ask, right), strict=True):
        assert status in (200, 503), (what, body)  # of derived ones there are too few bars
        check_answer(path, status, headers, body)


def test_what_it_calls_the_default_is_what_is_taken(ask, full):
    assert parameters("/v1/candles")["limit"]["schema"]["default"] == 500
    ((_, _, body),) = get(ask, [("/v1/candles", WHOLE, {})])
    assert len(orjson.loads(body)["candles"]) == 500


@pytest.mark.parametrize("path", [path for path in operations() if path != STAYS])
def test_answers_are_as_it_says(ask, full, redis, path):
    value = {"timestamp": full.open_ms - 3_600_000, "value": 12.5, "stage": "rallying"}
    IndicatorCache(redis, 4).write_many({Pair("BTC-USD", Timeframe.H1): value})
    more = {
        "/v1/candles": [{"open": 1}, {"start": full.first_ms, "limit": 3}, {"symbol": "BTCUSD"}]
    }
    asked = [(path, least(path) | each, {}) for each in [{}, *more.get(path, [])]]
    for status, headers, body in get(ask, asked):
        assert status == 200, body
        check_answer(path, status, headers, body)


@pytest.mark.parametrize("path", operations())
def test_what_is_not_known_is_refused_as_it_says(ask, full, path):
    image = {"Accept": "image/png"}
    wrong = [(path, least(path) | {"nonsense": 1}, {}, 400), (path, least(path), image, 406)]
    if "exchange" in least(path):
        wrong.append((path, least(path) | {"exchange": "nope"}, {}, 404))
    if "symbols" in parameters(path):
        wrong.append((path, least(path) | {"symbols": "NO-PE"}, {}, 404))
    for *asked, status in wrong:
        ((found, headers, body),) = get(ask, [asked])
        assert found == status, body
        check_answer(path, status, headers, body)


def test_what_is_missing_is_refused_as_it_says(ask, redis):
    ((status, headers, body),) = get(ask, [("/v1/candles", WHOLE | {"limit": 5}, {})])
    assert status == 503
    check_answer("/v1/candles", status, headers, body)
    ((start_ms, end_ms),) = orjson.loads(body)["missing"]
    assert end_ms - start_ms == 5 * 3_600_000


@pytest.mark.parametrize("path", operations())
def test_without_redis_it_is_refused_as_it_says(path):
    url = "redis://127.0.0.1:1/0"
    away = Server(make_client(url, connect_seconds=0.2), url, directory=FixedDirectory())

    def ask():
        return TestClient(TestServer(away.application()))

    ((status, headers, body),) = get(ask, [(path, least(path), {})])
    assert status == (200 if path in IN_MEMORY else 503), body
    check_answer(path, status, headers, body)


class Away(FixedDirectory):
    """A database that can't be read."""

    def is_due(self, name):
        return True

    def knows(self, name):
        return False

    def read(self):
        raise OperationalError("the server is gone")


@pytest.mark.parametrize("path", operations())
def test_without_the_database_it_is_refused_as_it_says(ask, redis, path):
    ((status, headers, body),) = get(ask, [(path, least(path), {})], directory=Away())
    assert status == (200 if path == "/v1/openapi.json" else 503), body
    check_answer(path, status, headers, body)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", operations())
def test_who_may_not_or_no_more_is_refused_as_it_says(redis, path):
    client = ApiClient(name="bot", requests_per_second=1, sockets=1)
    token = client.new_token()
    client.save()
    with served(redis, is_open=False) as url, requests.Session() as session:
        address = f"{url}{path}"
        unknown = session.get(address, headers={"Authorization": "Bearer nope"}, timeout=20)
        found = {401: unknown, 0: session.get(address, timeout=20)}
        for _ in range(20):
            answer = session.get(f"{url}/k/{token}{path}", timeout=20)
            found[answer.status_code] = answer
            if answer.status_code == 429:
                break
    assert found[0].status_code == 401
    for each in (found[401], found[429]):
        check_answer(path, each.status_code, each.headers, each.content)


@pytest.mark.django_db(transaction=True)
def test_one_stream_of_events_too_many_is_refused_as_it_says(redis):
    client = ApiClient(name="bot", sockets=1)
    token = client.new_token()
    client.save()
    with served(redis, is_open=False) as url:
        address = f"{url}/k/{token}{STAYS}?exchange=sandbox"
        with requests.get(address, stream=True, timeout=20) as first:
            assert first.status_code == 200
            second = requests.get(address, timeout=20)
    assert second.status_code == 429
    check_answer(STAYS, second.status_code, second.headers, second.content)
    assert "has 1 connections open" in second.json()["error"]


@pytest.mark.parametrize(
    ("method", "path", "status", "line"),
    [
        ("GET", "/v1/nope", 404, "There is no such path; known below /v1/: candles, exchanges"),
        ("GET", "/v1/", 404, "There is no such path"),
        ("GET", "/k/token/v1/nope", 404, "There is no such path"),
        ("POST", "/v1/candles", 405, "POST is not answered here: GET is"),
        ("HEAD", "/v1/events", 405, ""),
    ],
)
def test_what_is_no_path_or_no_get_is_told_in_the_same_form(ask, redis, method, path, status, line):
    async def fetch():
        async with ask() as client:
            answer = await client.request(method, path)
            return answer.status, answer.headers, await answer.read()

    found, headers, body = asyncio.run(fetch())
    assert found == status
    if line:
        content = orjson.loads(body)
        check(content, {"$ref": "#/components/schemas/Error"})
        assert content["error"].startswith(line)
    assert ("Allow" in headers) is (status == 405)
