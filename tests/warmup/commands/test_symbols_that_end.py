"""Commands asked for symbols that do not trade."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from livermore.command import UsageError
from tests.warmup.runners import SYMBOLS, make_row, serve

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sandbox():
    with serve() as server:
        yield server


@pytest.fixture
def row(redis, sandbox):
    found = make_row(sandbox)
    found.symbols.filter(symbol="ETH-USD").update(status="halted")
    sandbox.requests.reset()
    return found


def run(*arguments):
    out = StringIO()
    call_command(*arguments, stdout=out, stderr=StringIO())
    return out.getvalue()


def asked(sandbox):
    return {call.symbol for call in sandbox.requests.candles}


@pytest.mark.parametrize(
    "arguments", [("warmup", "sandbox", "--repair"), ("repair", "sandbox")], ids=" ".join
)
def test_of_the_monitored_symbols_those_that_do_not_trade_are_left_out(row, sandbox, arguments):
    run(*arguments)
    assert asked(sandbox) == {"BTC-USD", "SOL-USD"}


def test_a_plan_does_not_count_what_does_not_trade(row):
    plan = json.loads(run("warmup", "sandbox", "--plan", "--json"))
    assert [each["short"] for each in plan["timeframes"]] == [2] * 6


@pytest.mark.parametrize("status", ["halted", "delisted", "renamed"])
@pytest.mark.parametrize("command", ["warmup", "repair", "backfill", "stream", "start"])
def test_who_names_it_is_told_what_it_is_and_it_is_not_asked_for(row, sandbox, command, status):
    to = "POL-USD" if status == "renamed" else ""
    row.symbols.filter(symbol="ETH-USD").update(status=status, renamed_to=to)
    with pytest.raises(UsageError) as refused:
        run(command, "sandbox", "--symbols", "BTC-USD,eth-usd")
    text = f"ETH-USD (renamed to {to})" if to else f"ETH-USD ({status})"
    assert f"nothing that does not trade: {text}" in str(refused.value)
    assert not asked(sandbox)


@pytest.mark.parametrize("command", ["warmup", "repair", "stream"])
def test_where_nothing_that_is_monitored_trades_that_is_said(row, sandbox, command):
    row.symbols.update(status="halted")
    with pytest.raises(CommandError, match=r"BTC-USD \(halted\), ETH-USD \(halted\), SOL-USD"):
        run(command, "sandbox")


def test_what_was_computed_of_it_can_be_read(row):
    row.symbols.filter(symbol="SOL-USD").update(status="delisted")
    values = json.loads(run("indicators", "sandbox", "--timeframe", "1h", "--json"))
    assert [each["symbol"] for each in values] == SYMBOLS
    assert run("indicators", "sandbox", "--symbols", "SOL-USD")
