import json
from io import StringIO

import pytest
from django.core.management import call_command

from exchanges.lock.acquire import ExchangeLock
from exchanges.lock.status import State
from exchanges.models import Exchange, Symbol
from livermore.command import UsageError
from livermore.market.pair import Pair, pairs_of
from livermore.market.timeframe import Timeframe
from warmup.cache.indicators import IndicatorCache

STORED = {
    "timestamp": 1_795_046_400_000,
    "value": 61.25,
    "signal": 55.5,
    "histogram": 5.75,
    "stage": "rallying",
    "reason": None,
    "nEff": 99,
    "spanBars": 110,
    "liquidity": 0.909,
    "coverageComplete": True,
}


@pytest.fixture
def exchange(db, redis):
    row = Exchange.objects.get(name="sandbox")
    for base in ("BTC", "ETH"):
        Symbol.objects.create(
            exchange=row, symbol=f"{base}-USD", native_symbol=f"{base}USD",
            base=base, quote="USD", is_monitored=True,
        )  # fmt: skip
    values = {
        pair: STORED | {"symbol": pair.symbol, "timeframe": pair.timeframe}
        for pair in pairs_of(["BTC-USD"])
    }
    values[Pair("BTC-USD", Timeframe.D1)]["stage"] = "retracing"
    IndicatorCache(redis, row.pk).write_many(values)
    return row


def run(*arguments):
    output = StringIO()
    call_command("indicators", "sandbox", *arguments, stdout=output)
    return output.getvalue()


def test_the_table_has_a_line_for_every_monitored_pair(exchange):
    lines = run().splitlines()
    assert sum("BTC-USD" in line for line in lines) == 6
    assert sum("ETH-USD" in line and "too few candles" in line for line in lines) == 6
    assert any("61.25" in line and "rallying" in line and "91%" in line for line in lines)
    assert lines[-1] == "6 of 12 pairs have a value"


def test_how_long_ago_a_bar_closed_is_by_the_exchanges_clock(exchange, redis):
    lease = ExchangeLock(redis, exchange.pk).acquire()
    closed_ms = STORED["timestamp"] + Timeframe.H1.ms
    lease.report(State.ACTIVE, exchangeTime=closed_ms + 44 * 60_000)
    assert "44 min ago" in run("--timeframe", "1h")
    lease.release()


def test_a_timeframe_and_a_stage_narrow_it(exchange):
    assert run("--timeframe", "1h").splitlines()[-1] == "1 of 2 pairs have a value"
    found = run("--stage", "Retracing")
    assert found.splitlines()[-1] == "1 of 1 pairs have a value"
    assert "1d" in found


def test_as_json_it_is_what_is_stored(exchange):
    found = json.loads(run("--json", "--timeframe", "1h"))
    assert found[0].items() >= (STORED | {"symbol": "BTC-USD", "timeframe": "1h"}).items()
    assert (found[1]["symbol"], found[1]["value"], found[1]["reason"]) == (
        *("ETH-USD", None),
        "too few candles",
    )


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--timeframe", "7m"), "unknown timeframe 7m; known are: 1d, 4h, 1h, 15m, 5m, 1m"),
        (("--stage", "sleepy"), "unknown stage 'sleepy'; known are: oversold, overbought"),
        (("--symbols", "BTC-USDX"), "similar are: BTC-USD"),
    ],
)
def test_what_is_typed_wrong_gets_a_line_that_names_what_is_known(exchange, arguments, line):
    with pytest.raises(UsageError, match=line):
        run(*arguments)
