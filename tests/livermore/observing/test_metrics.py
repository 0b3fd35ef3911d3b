import re
from pathlib import Path

import pytest
from django.utils.crypto import constant_time_compare
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_open
from prometheus_client.parser import text_string_to_metric_families as read_plain

from alerts.metrics import METRICS as OF_ALERTS
from exchanges.models import Exchange
from history.following.metrics import METRICS as OF_HISTORY
from warmup.metrics.exposition import METRICS

TOKEN = "a-token-of-thirty-two-characters"
DOCUMENT = Path(__file__).parents[3] / "docs/metrics.md"

pytestmark = pytest.mark.django_db


@pytest.fixture
def scrape(settings, client, redis):
    settings.LIVERMORE_METRICS_TOKEN = TOKEN

    def scrape(authorization=f"Bearer {TOKEN}", **headers):
        return client.get("/metrics", headers={"Authorization": authorization, **headers})

    return scrape


def values(text, name):
    """Return the values of one metric by its labels."""
    return {
        tuple(sample.labels.values()): sample.value
        for family in read_plain(text)
        for sample in family.samples
        if sample.name == name
    }


def test_without_a_configured_token_there_is_nothing(settings, client, redis):
    settings.LIVERMORE_METRICS_TOKEN = ""
    for header in ("", "Bearer ", f"Bearer {TOKEN}"):
        assert client.get("/metrics", headers={"Authorization": header}).status_code == 404


@pytest.mark.parametrize("token", [" ", "guess me", "short", "x" * 15, "ä" * 16, "x" * 16 + "\n"])
def test_with_a_token_that_is_none_there_is_nothing_either(settings, client, redis, token):
    settings.LIVERMORE_METRICS_TOKEN = token
    headers = {"Authorization": f"Bearer {token}"}
    assert client.get("/metrics", headers=headers).status_code == 404


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer ", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}",
     TOKEN, f"Bearer x {TOKEN}", "Bearer é"],
)  # fmt: skip
def test_who_does_not_bring_the_token_is_refused(scrape, authorization):
    answer = scrape(authorization)
    assert (answer.status_code, answer.content) == (401, b"")
    assert answer["WWW-Authenticate"].startswith("Bearer")


def test_who_brings_no_header_at_all_is_refused(scrape, client):
    assert client.get("/metrics").status_code == 401


@pytest.mark.parametrize("header", ["Bearer \xff\xfe", "Bearer " + "é" * 16, "\xff", "Bearer \0"])
def test_bytes_that_are_no_token_are_refused(scrape, header):
    assert scrape(header).status_code == 401


def test_the_token_is_compared_in_constant_time(scrape, monkeypatch):
    compared = []

    def compare(*both):
        compared.append(both)
        return constant_time_compare(*both)

    monkeypatch.setattr("livermore.observing.metrics.constant_time_compare", compare)
    for authorization in ("Bearer x", "Basic x", ""):
        assert scrape(authorization).status_code == 401
    assert compared == [("x", TOKEN), ("x", TOKEN), ("", TOKEN)]


def test_a_token_in_the_address_is_refused(scrape, client):
    assert client.get("/metrics", {"token": TOKEN, "access_token": TOKEN}).status_code == 401


def test_https_redirects_others_but_not_prometheus(scrape, settings, client):
    settings.SECURE_SSL_REDIRECT = True
    assert scrape().status_code == 200
    assert client.get("/metrics").status_code == 401
    assert client.get("/metrics/").url.startswith("https://")


@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
def test_who_brings_the_token_gets_prometheuss_text(scrape, scheme):
    answer = scrape(f"{scheme} {TOKEN}")
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/plain; version=0.0.4")
    assert values(answer.content.decode(), "livermore_redis_up") == {(): 1}


def test_who_accepts_openmetrics_gets_that(scrape):
    answer = scrape(Accept="application/openmetrics-text; version=1.0.0")
    assert answer["Content-Type"].startswith("application/openmetrics-text")
    assert {family.name for family in read_open(answer.content.decode())} >= {"livermore_redis_up"}


def test_every_active_exchange_is_there_and_no_other(scrape):
    Exchange.objects.update(wanted="stopped")
    Exchange.objects.filter(name="binance").update(is_active=False)
    Exchange.objects.filter(name="coinbase").update(wanted="running")
    wanted = values(scrape().content.decode(), "livermore_exchange_wanted")
    assert wanted == {("binance_us",): 0, ("coinbase",): 1, ("sandbox",): 0}


def test_nothing_of_a_scrape_is_left_in_the_next_one(scrape):
    before = values(scrape().content.decode(), "livermore_exchange_up")
    Exchange.objects.filter(name="sandbox").update(name="renamed")
    after = values(scrape().content.decode(), "livermore_exchange_up")
    assert set(after) == {("renamed",), *before} - {("sandbox",)}


def test_without_redis_it_says_so(scrape, settings):
    gone = {"LOCATION": "redis://127.0.0.1:1/0"}
    settings.CACHES = {"default": settings.CACHES["default"] | gone}
    text = scrape().content.decode()
    assert values(text, "livermore_redis_up") == {(): 0}
    assert values(text, "livermore_database_up") == {(): 1}
    assert values(text, "livermore_exchange_up") == {}


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb", 'é {x="1"} 2', "\u2028"])
@pytest.mark.parametrize("accept", ["text/plain", "application/openmetrics-text; version=1.0.0"])
def test_an_exchange_may_be_called_anything(scrape, name, accept):
    Exchange.objects.filter(name="sandbox").update(name=name, wanted="running")
    read = read_open if "openmetrics" in accept else read_plain
    families = {family.name: family for family in read(scrape(Accept=accept).content.decode())}
    found = {s.labels["exchange"]: s.value for s in families["livermore_exchange_wanted"].samples}
    assert found[name] == 1
    assert len(found) == Exchange.objects.filter(is_active=True).count()


def test_what_can_be_said_of_the_redis_server_is_said(scrape, redis):
    redis.config_set("maxmemory", 1)
    try:
        text = scrape().content.decode()
    finally:
        redis.config_set("maxmemory", 0)
    assert values(text, "livermore_redis_up") == {(): 1}
    assert values(text, "livermore_redis_writable") == {(): 0}
    assert values(text, "livermore_redis_evicts") == {(): 0}
    assert values(text, "livermore_redis_memory_limit_bytes") == {(): 1}
    assert values(text, "livermore_redis_memory_used_bytes")[()] > 100_000
    text = scrape().content.decode()
    assert values(text, "livermore_redis_writable") == {(): 1}
    assert values(text, "livermore_redis_memory_limit_bytes") == {}


def test_a_redis_that_evicts_is_told(scrape, redis):
    redis.config_set("maxmemory", "1gb", "maxmemory-policy", "allkeys-lru")
    try:
        text = scrape().content.decode()
    finally:
        redis.config_set("maxmemory", 0, "maxmemory-policy", "noeviction")
    assert values(text, "livermore_redis_evicts") == values(text, "livermore_redis_writable")
    assert values(text, "livermore_redis_evicts") == {(): 1}


def test_every_metric_is_in_the_document_with_its_type_and_no_other(scrape):
    exported = re.findall(r"^# TYPE (\S+) (\S+)", scrape().content.decode(), re.M)
    documented = re.findall(
        r"^\| `(livermore_(?!serving_)\w+)` \| (\w+) \|", DOCUMENT.read_text(), re.M
    )
    assert len(exported) > 30
    assert sorted(documented) == sorted(exported)


def test_the_document_names_the_labels_of_every_metric():
    rows = re.findall(
        r"^\| `livermore_(?!serving_)(\w+)` \| \w+ \|([^|]*)\|", DOCUMENT.read_text(), re.M
    )
    documented = {name: tuple(labels.replace(",", "").split()) for name, labels in rows}
    metrics = METRICS | OF_HISTORY | OF_ALERTS
    assert documented == {name: kind.labels for name, kind in metrics.items()}
