"""`start` and what ends it, in processes of its own."""

import re
import signal
import socket

import pytest

from exchanges.lock.acquire import ExchangeLock
from exchanges.lock.status import State, read_status
from exchanges.models import Exchange
from livermore.market import keys
from tests.warmup.runners import (
    REST_PATHS,
    Comparison,
    end,
    make_row,
    processes,
    serve,
    wait_until,
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def manage():
    with processes() as manage:
        yield manage


@pytest.fixture
def sandbox():
    with serve() as server:
        yield server


@pytest.fixture
def row(redis, sandbox):
    return make_row(sandbox)


@pytest.fixture
def live(redis, row, manage):
    """Start an exchange; return its process once it streams."""

    def live(name="sandbox", *options):
        process = manage("start", name, *options)
        pk = Exchange.objects.get(name=name).pk
        wait_until(lambda: process.poll() is not None or is_live(redis, pk, process.pid))
        assert process.poll() is None, process.communicate()
        return process

    return live


def is_live(redis, pk, pid):
    status = read_status(redis, pk)
    return status.state is State.ACTIVE and status.holder.pid == pid


def test_where_another_holds_the_lock_it_names_it_and_fails(redis, row, live, manage):
    first = live()
    second = manage("start", "sandbox")
    _, said = second.communicate(timeout=60)
    holder = ExchangeLock(redis, row.pk).holder()
    assert (second.returncode, holder.pid) == (1, first.pid)
    [line] = said.strip().splitlines()
    assert socket.gethostname() in line
    assert f"({holder.ip}) since 20" in line
    assert first.poll() is None


def test_taking_over_what_nobody_holds_is_an_ordinary_start(live):
    assert end(live("sandbox", "--take-over"))[0] == 0


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT], ids=["TERM", "Ctrl-C"])
def test_it_ends_within_five_seconds_with_everything_flushed_and_the_lock_free(
    redis, row, sandbox, live, how
):
    process = live()
    truth = Comparison(redis, sandbox, row)
    truth.wait(sandbox.clock.now_ms())
    told_ms = sandbox.clock.now_ms()
    status, _, said = end(process, how)
    assert (status, said.strip()) == (0, "")
    assert truth.behind(told_ms - 30_000) == []
    assert truth.faults() == []
    assert not redis.exists(keys.lock(row.pk))
    assert read_status(redis, row.pk).state is State.STOPPED


def test_it_ends_within_five_seconds_from_the_middle_of_a_warmup(redis, row, sandbox, manage):
    sandbox.scenarios.add("slow", delay=1, symbol="BTC-USD")
    process = manage("start", "sandbox")
    wait_until(lambda: (read_status(redis, row.pk).percent or 0) > 20)
    assert end(process)[0] == 0
    assert not redis.exists(keys.lock(row.pk))
    assert read_status(redis, row.pk).state is State.STOPPED


@pytest.mark.parametrize("name", ["binance_us", "coinbase"])
def test_other_addresses_in_the_row_are_all_it_takes(redis, sandbox, live, name):
    venue = "coinbase" if name == "coinbase" else "binance"
    row, _ = Exchange.objects.update_or_create(
        name=name,
        defaults={
            "venue": venue,
            "rest_url": f"{sandbox.url}{REST_PATHS[name]}",
            "ws_url": sandbox.ws_url,
            "pacing": "batch" if venue == "coinbase" else "weight",
        },
    )
    process = live(name)
    truth = Comparison(redis, sandbox, row)
    truth.wait(sandbox.clock.now_ms() + 60_000)
    assert truth.faults() == []
    assert sandbox.streams[venue].open == 1
    assert end(process)[0] == 0


def test_an_exchange_that_is_gone_is_one_line_and_the_status_says_so(redis, row, sandbox, manage):
    sandbox.stop()
    process = manage("start", "sandbox")
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert re.fullmatch(r"Error: .*cannot be reached.*", said.strip().splitlines()[-1])
    assert "Traceback" not in said
    assert read_status(redis, row.pk).state is State.ERROR
    assert not redis.exists(keys.lock(row.pk))


def test_it_ends_within_five_seconds_from_a_warmup_that_hangs(redis, row, sandbox, manage):
    sandbox.scenarios.add("slow", delay=12, symbol="BTC-USD")
    process = manage("start", "sandbox")
    wait_until(lambda: (read_status(redis, row.pk).percent or 0) > 20)
    assert end(process)[0] == 0
    assert not redis.exists(keys.lock(row.pk))
    assert read_status(redis, row.pk).state is State.STOPPED


def test_it_ends_within_five_seconds_while_it_heals(redis, row, sandbox, live):
    process = live()
    sandbox.scenarios.add("slow", delay=12)
    sandbox.scenarios.add("missing_close")
    wait_until(lambda: read_status(redis, row.pk).details.get("healing"))
    assert end(process)[0] == 0
    assert not redis.exists(keys.lock(row.pk))


def test_taking_over_ends_the_other_and_goes_on(redis, row, sandbox, live):
    first = live()
    second = live("sandbox", "--take-over")
    _, said = first.communicate(timeout=10)
    assert first.returncode == 1
    assert "stopped: taken over by " in said.strip().splitlines()[-1]
    assert ExchangeLock(redis, row.pk).holder().pid == second.pid
    truth = Comparison(redis, sandbox, row)
    truth.wait(sandbox.clock.now_ms())
    assert truth.faults() == []
    assert end(second)[0] == 0
