"""`stream` in a process of its own: what it prints, how it ends, what it leaves."""

import re
import signal

import pytest
from django.core.management import CommandError, call_command

from exchanges.lock.acquire import ExchangeLock
from exchanges.lock.status import State, read_status
from exchanges.sandbox.symbols import CHEAP
from livermore.market import keys
from livermore.market.timeframe import Timeframe
from tests.warmup.runners import (
    Comparison,
    end,
    events_of,
    make_row,
    processes,
    serve,
    stored,
    wait_until,
)

pytestmark = pytest.mark.django_db(transaction=True)

RATES = r"\d+ frames/s, 1 connections, \d+ closes, \d+ healed, 0 malformed"
CLOSE = r"closed (\S+) (\S+) (\d{4}-\d\d-\d\d \d\d:\d\d) at [\d.]+(, healed)?"


@pytest.fixture
def sandbox():
    with serve() as server:
        yield server


@pytest.fixture(params=["sandbox", "coinbase"])
def row(request, redis, sandbox):
    return make_row(sandbox, request.param)


@pytest.fixture
def manage():
    with processes() as manage:
        yield manage


def test_it_prints_rates_and_each_close_and_ends_in_time(redis, row, sandbox, manage):
    process = manage("stream", row.name, "--symbols", "BTC-USD,ETH-USD", "--seconds", "4")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    lines = out.splitlines()
    rates = [line for line in lines if re.fullmatch(RATES, line)]
    closes = [match.groups() for line in lines if (match := re.fullmatch(CLOSE, line))]
    assert len(rates) + len(closes) == len(lines)
    assert len(rates) >= 3
    events = events_of(redis, row.pk)
    told = [(symbol, timeframe) for symbol, timeframe, _, _ in closes]
    assert {pair: told.count(pair) for pair in told} == {
        pair: len(of_pair) for pair, of_pair in events.items()
    }
    assert ("BTC-USD", "1m") in told
    assert not [pair for pair in told if pair[0] == "SOL-USD"]


def test_what_it_leaves_is_true_and_claims_nothing_of_before(redis, row, sandbox, manage):
    begun_ms = sandbox.clock.now_ms()
    manage("stream", row.name, "--symbols", "BTC-USD", "--seconds", "4").wait(60)
    rows, coverage = stored(redis, row.pk, "BTC-USD", Timeframe.M1)
    assert rows
    assert coverage[0][0] >= Timeframe.M1.floor(begun_ms)
    truth = Comparison(redis, sandbox, row, ["BTC-USD"], [Timeframe.M1])
    assert truth.faults() == []
    assert read_status(redis, row.pk).state is State.STOPPED
    assert not redis.exists(keys.lock(row.pk))


@pytest.mark.parametrize("name", ["sandbox", "coinbase"])
def test_a_close_far_below_a_cent_is_told_without_an_exponent(redis, manage, name):
    with serve(listings=(CHEAP,)) as sandbox:
        row = make_row(sandbox, name, [CHEAP.symbol])
        process = manage("stream", name)
        wait_until(lambda: events_of(redis, row.pk))
        _, out, _ = end(process, seconds=20)
        closes = [line for line in out.splitlines() if line.startswith("closed ")]
        assert [line for line in closes if not re.fullmatch(CLOSE, line)] == []
        told = [float(line.split(" at ")[1].split(",")[0]) for line in closes]
        events = [each["close"] for told in events_of(redis, row.pk).values() for each in told]
        assert sorted(told) == sorted(events)
        assert 0 < max(told) < 1e-06


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT], ids=["TERM", "Ctrl-C"])
def test_told_to_end_it_ends_within_five_seconds(redis, row, manage, how):
    process = manage("stream", row.name)
    wait_until(lambda: events_of(redis, row.pk))
    status, _, err = end(process, how)
    assert (status, err) == (0, "")
    assert not redis.exists(keys.lock(row.pk))


def test_it_names_what_is_polled(redis, row, sandbox, manage):
    sandbox.scenarios.add("refuse_subscription", symbol="ETH-USD")
    process = manage("stream", row.name, "--symbols", "BTC-USD,ETH-USD")
    given_up = next(line for line in process.stderr if "stream.given_up" in line)
    assert "symbol=ETH-USD" in given_up
    assert any("0 malformed, 1 polled: ETH-USD" in line for line in process.stdout)
    assert end(process, seconds=20)[0] == 0


def test_where_another_holds_the_lock_it_is_refused_in_one_line(redis, row):
    with (
        ExchangeLock(redis, row.pk).acquire() as lease,
        pytest.raises(CommandError, match="is held by") as caught,
    ):
        call_command("stream", row.name, seconds=1.0)
    assert (caught.value.returncode, str(lease.holder) in str(caught.value)) == (1, True)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("sandbox", "--seconds", "0"), "--seconds is more than 0"),
        (("sandbox", "--seconds", "-1"), "--seconds is more than 0"),
        (("sandbox", "--symbols", "BTC-EURO"), "unknown symbol on sandbox: BTC-EURO"),
        (("nasdaq",), "unknown exchange 'nasdaq'"),
    ],
)
def test_what_a_person_typed_wrong_is_status_two(redis, sandbox, options, says):
    make_row(sandbox)
    with pytest.raises(CommandError) as caught:
        call_command("stream", *options)
    assert caught.value.returncode == 2
    assert says in str(caught.value)
