"""Symbols that are of no use, and the choice of one."""

import pytest

from livermore.market.timeframe import Timeframe
from tests.warmup.harness.conftest import (
    WELL,
    failures,
    results,
    row_of,
    step_of,
)
from tests.warmup.harness.faults.told import lines
from tests.warmup.runners import MIDNIGHT_MS, serve
from tests.warmup.runners import chosen as those

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("symbol", "says"),
    [
        ("LUNA-USD", "does not trade now"),
        ("btc-usdd", "similar are: BTC-USD"),
        ("WXYZ-QQQ", "does not list WXYZ-QQQ | choose another with --symbol"),
    ],
)
def test_a_symbol_that_is_of_no_use_fails_there(row, checked, symbol, says):
    report = checked(row, symbol)
    assert failures(report) == ["symbol"]
    assert says in lines(step_of(report, "symbol"))
    assert report.symbol == symbol  # letters are kept: some names are told apart by them
    assert results(report)["subscription"] == results(report)["warmup"] == "SKIP"


@pytest.mark.parametrize(
    ("listed", "monitored", "chosen"),
    [
        (["ETH-USD", "BTC-USDT", "BTC-USD"], ["ETH-USD"], "BTC-USD"),
        (["ETH-USD", "BTC-USDT"], ["ETH-USD"], "BTC-USDT"),
        (["ETH-USD", "SOL-USD"], ["SOL-USD"], "SOL-USD"),
    ],
)
def test_the_symbol_is_btc_or_one_that_is_kept_warm(checked, redis, listed, monitored, chosen):
    with serve(start_ms=MIDNIGHT_MS - Timeframe.D1.ms // 2, listings=those(listed)) as sandbox:
        row = row_of(sandbox, "sandbox")
        row.symbols.update(is_monitored=False)
        row.symbols.filter(symbol__in=monitored).update(is_monitored=True)
        report = checked(row)
    assert report.symbol == chosen
    assert results(report) == WELL


def test_where_there_is_nothing_to_choose_it_asks_for_a_name(checked, redis):
    with serve(listings=those(["ETH-USD"])) as sandbox:
        row = row_of(sandbox, "sandbox")
        row.symbols.update(is_monitored=False)
        report = checked(row)
    assert failures(report) == ["symbol"]
    assert "--symbol" in step_of(report, "symbol").remedy


def test_a_symbol_that_the_database_does_not_know_yet_is_tried_all_the_same(row, checked):
    row.symbols.filter(symbol="SOL-USD").delete()
    report = checked(row, "SOL-USD")
    assert results(report) == WELL
    assert step_of(report, "symbol").remedy.endswith("`./run symbols sandbox --sync`")
