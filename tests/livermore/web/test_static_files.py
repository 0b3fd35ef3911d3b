"""How much smaller what browsers load is sent."""

import gzip

import pytest
from django.test import Client

from exchanges.models import Symbol
from tests.warmup.network.operators import listed_exchange, person

pytestmark = pytest.mark.django_db

CHARTS = "/static/lightweight-charts/lightweight-charts.js"


def body(response):
    return b"".join(response) if response.streaming else response.content


def get(path, encoding="gzip, deflate, br", client=None, **headers):
    return (client or Client()).get(path, headers={"accept-encoding": encoding, **headers})


@pytest.mark.parametrize(
    "path",
    [
        CHARTS,
        "/static/network/page.js",
        "/static/network/styles/cards.css",
        "/static/admin/js/theme.js",
    ],
)
def test_a_static_file_is_sent_compressed_to_who_takes_it_so(path):
    small, plain = get(path), get(path, "identity")
    assert small.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    whole = body(plain)
    assert gzip.decompress(body(small)) == whole
    assert len(body(small)) < len(whole) / 2
    assert int(small.headers["Content-Length"]) == len(body(small))
    for each in (small, plain):
        assert each.headers["Vary"] == "Accept-Encoding"
        assert each.headers["Content-Type"] == plain.headers["Content-Type"]
        assert each.headers["Last-Modified"] == plain.headers["Last-Modified"]


@pytest.mark.parametrize("encoding", ["", "identity", "br", "gzip;q=0", "gzip; q=0.0, br"])
def test_who_does_not_take_it_gets_the_file_as_it_is(encoding):
    assert "Content-Encoding" not in get(CHARTS, encoding).headers


def test_what_a_browser_has_is_not_sent_again():
    etag = get(CHARTS).headers["ETag"]
    again = get(CHARTS, **{"if-none-match": etag})
    assert (again.status_code, body(again)) == (304, b"")


def test_a_part_of_a_file_is_that_part():
    part = get(CHARTS, range="bytes=0-9")
    assert (part.status_code, len(body(part))) == (206, 10)
    assert "Content-Encoding" not in part.headers


def test_who_asks_for_a_large_part_of_a_file_gets_the_whole():
    whole = body(get(CHARTS, "identity"))
    for asked in ("bytes=0-", "bytes=5-200000", "bytes=-100000"):
        found = get(CHARTS, "identity", range=asked)
        assert (found.status_code, body(found)) == (200, whole)
        assert "Content-Range" not in found.headers


@pytest.fixture
def row(redis):
    row = listed_exchange()
    names = [f"S{number}" for number in range(1000)]
    row.symbols.bulk_create(
        Symbol(
            exchange=row, symbol=f"{name}-USD", native_symbol=f"{name}USD",
            base=name, quote="USD", is_monitored=True,
        )
        for name in names
    )  # fmt: skip
    return row


@pytest.fixture
def browser(row):
    client = Client()
    client.force_login(person("ada", "view_exchange", "operate_exchange"))
    return client


def test_a_page_of_a_thousand_symbols_is_a_tenth_on_its_way(browser):
    plain = get("/admin/network/", "identity", browser)
    small = get("/admin/network/", client=browser)
    assert small.headers["Content-Encoding"] == "gzip"
    assert b"S999-USD" in gzip.decompress(small.content)
    assert len(small.content) < len(plain.content) / 10


def test_the_same_page_is_not_always_of_the_same_length(browser):
    """Else whoever can have a part of it chosen could find out the rest, by its length."""
    assert len({len(get("/admin/login/").content) for _ in range(20)}) > 1


def test_json_is_compressed_too(browser, row):
    address = f"/admin/network/{row.pk}/choose-symbols/"
    answer = get(address, client=browser, accept="application/json")
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Content-Encoding"] == "gzip"


def test_browsers_find_the_icon_that_they_ask_for_by_themselves(client):
    answer = client.get("/favicon.ico")
    assert (answer.status_code, answer["Location"]) == (302, "/static/livermore.svg")
