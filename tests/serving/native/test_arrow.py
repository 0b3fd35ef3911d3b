"""Candles as Arrow, read by pyarrow, and what is said where that isn't installed."""

import asyncio
import sys
from urllib.parse import urlencode

import orjson
import pyarrow as pa
import pytest

from livermore.market.candle import Candle
from livermore.market.timeframe import Timeframe
from tests.serving.native.described import check_answer
from warmup.cache.candles import CandleCache

HOUR = 3_600_000
ARROW = "application/vnd.apache.arrow.stream"
WHOLE = {"exchange": "sandbox", "symbol": "BTC-USD", "timeframe": "1h"}
EXTRA = ["quoteVolume", "trades", "takerBase", "takerQuote"]


def get(ask, accept=ARROW, **params):
    """Return status, headers and body."""

    async def fetch():
        async with ask() as client:
            query = urlencode(WHOLE | params)
            answer = await client.get(f"/v1/candles?{query}", headers={"Accept": accept})
            return answer.status, answer.headers, await answer.read()

    return asyncio.run(fetch())


def read(body):
    table = pa.ipc.open_stream(body).read_all()
    return table, orjson.loads(table.schema.metadata[b"livermore"])


def test_a_reader_gets_the_same_candles_as_by_json(ask, filled, redis):
    opened_ms, columns = filled.open_ms - HOUR, (60.5, 17, 0.0625, 30.25)
    told = Candle(opened_ms, 100.5, 102.25, 99.125, 101.0, 0.5, Timeframe.H1, columns)
    CandleCache(redis, 4).write("BTC-USD", Timeframe.H1, [told])
    status, headers, body = get(ask, limit=100)
    assert (status, headers["Content-Type"], headers["Vary"]) == (200, ARROW, "Accept")
    check_answer("/v1/candles", status, headers, body)
    table, said = read(body)
    content = orjson.loads(get(ask, "application/json", limit=100)[2])
    assert 0 <= content["time"] - said.pop("time") < 60_000
    assert table.column_names == content["columns"]
    assert [[*row.values()] for row in table.cast(plain(table.schema)).to_pylist()] == content[
        "candles"
    ]
    apart = ("columns", "candles", "time")
    assert said == {name: content[name] for name in content if name not in apart}
    assert said["complete"] is True
    assert said["newestClose"] == filled.open_ms


def plain(schema):
    """Return the schema with whole numbers for times."""
    return schema.set(0, schema.field(0).with_type(pa.int64()))


def test_columns_have_the_types_of_what_they_are(ask, filled):
    table, _ = read(get(ask, limit=3)[2])
    fields = {each.name: each for each in table.schema}
    assert fields["timestamp"].type == pa.timestamp("ms", tz="UTC")
    assert fields["trades"].type == pa.int64()
    others = {each.type for name, each in fields.items() if name not in ("timestamp", "trades")}
    assert others == {pa.float64()}
    assert [name for name, each in fields.items() if each.nullable] == EXTRA
    assert [table[name].null_count for name in EXTRA] == [3] * 4


def test_a_stretch_without_candles_is_a_table_without_rows(ask, filled):
    status, _, body = get(ask, start=filled.open_ms)
    assert status == 200
    table, said = read(body)
    assert (table.num_rows, table.num_columns, said["complete"]) == (0, 10, True)


def test_the_open_candle_is_in_what_is_said(ask, filled):
    table, said = read(get(ask, limit=3, open=1)[2])
    assert table.num_rows == 3
    assert said["open"][0] == filled.open_ms


def test_what_is_wrong_is_told_as_json(ask, filled):
    for params, expected in (({"limit": 0}, 400), ({"symbol": "NO-PE"}, 404)):
        status, headers, body = get(ask, **params)
        assert status == expected
        check_answer("/v1/candles", status, headers, body)


@pytest.fixture
def bare(monkeypatch):
    """A machine on which pyarrow is not installed."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)


def test_where_it_is_not_installed_one_line_says_what_to_install(ask, filled, bare):
    status, headers, body = get(ask)
    assert status == 406
    check_answer("/v1/candles", status, headers, body)
    assert orjson.loads(body)["error"] == (
        "Arrow needs pyarrow, which is not installed where this is served: "
        "pip install -r requirements-arrow.txt there, or accept application/json"
    )


def test_where_it_is_not_installed_who_takes_json_as_well_gets_that(ask, filled, bare):
    status, headers, _ = get(ask, f"{ARROW}, application/json;q=0.5")
    assert (status, headers["Content-Type"]) == (200, "application/json")


def test_nobody_needs_it_who_asks_for_json(ask, filled, bare):
    assert get(ask, "*/*", limit=3)[0] == 200
