"""A venue of two kinds, one name for two markets and small letters: the rooms beyond the cache."""

import csv
import json
import time
from contextlib import closing
from datetime import UTC, datetime
from io import StringIO

import livermore_reader
import pytest
import requests
from django.core.management import call_command

from exchanges.adapters import open_rest
from exchanges.lock.status import State
from exchanges.models import Exchange
from exchanges.redis.directory import publish_exchanges
from exchanges.symbols.fetch_listing import fetch_listing
from exchanges.symbols.monitoring import monitor
from exchanges.venues import VENUES
from livermore.market.timeframe import Timeframe
from tests.conftest import SERVER
from tests.exchanges.venues.toy import VENUE
from tests.exchanges.venues.toy_server import ToyServer
from tests.serving.conftest import say_streamed
from tests.serving.serving import served
from tests.warmup.network.operators import person
from tests.warmup.network.views.addresses import JSON, url
from warmup.service import SmartWarmupService

pytestmark = pytest.mark.django_db(transaction=True)
PEPE, PERPETUAL, SPOT = "kPEPE-USDT-PERP", "BTC-USDT-PERP", "BTC-USDT"
SYMBOLS = [SPOT, PERPETUAL, PEPE]
H1 = Timeframe.H1


@pytest.fixture(scope="module")
def server():
    with ToyServer(int(time.time() * 1000)) as one:
        yield one


@pytest.fixture
def row(redis, server, monkeypatch):
    """Return a row of the toy whose three symbols are warm."""
    monkeypatch.setitem(VENUES, VENUE.name, VENUE)
    return warm(redis, server, "toy_shop")


def warm(redis, server, name):
    row = Exchange.objects.create(
        name=name,
        display_name=name,
        venue=VENUE.name,
        pacing="batch",
        rest_url=server.url,
        ws_url=server.ws_url,
        batch_size=30,
        batch_delay_ms=0,
    )
    fetch_listing(row)
    row.symbols.update(is_monitored=False)
    monitor(row, SYMBOLS)
    with closing(open_rest(row)) as rest:
        SmartWarmupService(redis, row.pk, rest).warmup(SYMBOLS)
    say_streamed(redis, row.pk, State.ACTIVE)
    return row


def run(*arguments):
    output = StringIO()
    call_command(*arguments, stdout=output, stderr=StringIO())
    return output.getvalue()


def truth(server, symbol, open_ms):
    [found] = server.market.closed_candles(symbol, H1, open_ms, open_ms + H1.ms)
    return list(found)


def test_programs_read_each_market_by_its_own_word(redis, server, row):
    publish_exchanges(redis)
    words = {"BTCUSDT": SPOT, "BTCUSDT_PERP": PERPETUAL, "KPEPEUSDT_PERP": PEPE}
    with served(redis) as address, livermore_reader.connect(SERVER.url) as lm:
        for word, symbol in words.items():
            asked = f"{address}/toy_shop/api/v3/klines?symbol={word}&interval=1h&limit=2"
            opened, *numbers = requests.get(asked, timeout=20).json()[0][:6]
            assert [opened, *map(float, numbers)] == truth(server, symbol, opened)
            assert lm.read("toy_shop", word.lower(), "1h", 1).symbol == symbol
        futures = f"{address}/toy_shop/fapi/v1/klines?symbol=BTCUSDT&interval=1h&limit=2"
        opened, *numbers = requests.get(futures, timeout=20).json()[0][:6]
        assert [opened, *map(float, numbers)] == truth(server, PERPETUAL, opened)


def test_history_is_filled_and_read_by_letters_of_either_case(server, row, tmp_path, settings):
    settings.HISTORY = str(tmp_path)
    day = datetime.fromtimestamp(server.clock.now_ms() / 1000 - 86_400, UTC).strftime("%Y-%m-%d")
    symbols = ["--symbols", f"{PEPE.lower()},{PERPETUAL}", "--timeframes", "1h"]
    run("history", "toy_shop", "--since", day, *symbols)
    assert (tmp_path / "exchange=toy_shop" / f"symbol={PEPE}").is_dir()
    path = tmp_path / "found.csv"
    run("candles", "toy_shop", PEPE.lower(), "1h", "--since", day, "--csv", str(path))
    rows = list(csv.reader(path.open()))[1:]
    assert len(rows) > 20
    told = json.loads(run("history", "toy_shop", "--verify", "--json"))
    assert not told.get("faults"), told


def test_an_audit_compares_a_perpetual_with_the_same_elsewhere(redis, server, row):
    warm(redis, server, "toy_mart")
    arguments = ("toy_shop", "--second-venue", "toy_mart", "--sample", "30", "--json")
    told = json.loads(run("audit", *arguments))
    assert (told["compared"], told["differing"], told["unknown"]) == (30, 0, 0)
    assert told["secondCompared"] == 30
    assert told["secondBeyond"] == []


def test_pages_and_indicators_show_them_under_their_names(redis, row, client):
    client.force_login(person("bob", "view_exchange"))
    answer = client.get(url("signals"), headers={"Accept": JSON}).json()
    [shown] = [each for each in answer["exchanges"] if each["exchangeId"] == row.pk]
    assert sorted(shown["symbols"]) == sorted(SYMBOLS)
    page = client.get(url("pair", row, PEPE, "1h"))
    assert PEPE in page.content.decode()
    told = run("indicators", "toy_shop", "--symbols", PEPE.lower(), "--timeframe", "1h")
    assert PEPE in told
