"""Who opens an address at which nothing is asked for is told in a line what there is."""

import asyncio
from dataclasses import replace

import pytest

from tests.serving.conftest import ROW, FixedDirectory
from tests.serving.test_kinds import MIXED

OURS = "Livermore's own interface is below /v1/, as /v1/openapi.json describes it\n"


def texts(ask, *paths, directory=None):
    async def fetch():
        async with ask(directory) as client:
            answers = [await client.get(path) for path in paths]
            return [(each.status, await each.text()) for each in answers]

    return asyncio.run(fetch())


def test_the_root_says_where_candles_are(ask):
    directory = FixedDirectory()
    directory.exchanges["coinbase"] = replace(ROW, name="coinbase", venue="coinbase")
    bases = "/coinbase/api/v3/, /coinbase/api/v3/brokerage/, /sandbox/api/v3/"
    assert texts(ask, "/", directory=directory)[0] == (
        200,
        f"Candles are below {bases}; {OURS}",
    )


def test_where_there_is_no_exchange_it_says_so(ask):
    directory = FixedDirectory()
    directory.exchanges.clear()
    ((status, text),) = texts(ask, "/", directory=directory)
    assert status == 200
    assert text.startswith("There is no exchange yet: add one in the admin; ")


@pytest.mark.parametrize("end", ["", "/"])
def test_where_an_exchange_begins_it_says_how_to_go_on(ask, end):
    ((status, text),) = texts(ask, f"/sandbox/api/v3{end}")
    assert (status, text) == (
        200,
        "sandbox in Binance's protocol, as in "
        "/sandbox/api/v3/klines?symbol=BTCUSD&interval=1h, /sandbox/api/v3/exchangeInfo and the "
        f"WebSocket /sandbox/ws; {OURS}",
    )


def test_its_addresses_are_none_of_an_exchange_that_there_is_not(ask):
    ((status, text),) = texts(ask, "/other/api/v3/")
    assert status == 404
    assert "There is no exchange 'other'; known: sandbox" in text


def test_where_there_are_perpetuals_it_says_where_they_are_alone(ask):
    ((_, text),) = texts(ask, "/sandbox/api/v3/", directory=FixedDirectory(MIXED))
    assert "; perpetuals alone are below /sandbox/fapi/v1/; " in text


def test_a_row_of_coinbase_says_where_its_own_protocol_is(ask):
    row = replace(ROW, name="coinbase", venue="coinbase")
    ((_, text),) = texts(ask, "/coinbase/api/v3/", directory=FixedDirectory(row))
    assert "; Coinbase's protocol is below /coinbase/api/v3/brokerage/; " in text
