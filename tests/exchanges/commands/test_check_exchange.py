"""`check_exchange` as a person and a program meet it."""

import json
import signal
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from exchanges.lock.status import State, read_status
from exchanges.models import Exchange
from livermore.market import keys
from livermore.market.timeframe import Timeframe
from tests.warmup.harness.conftest import everything
from tests.warmup.runners import MIDNIGHT_MS, end, make_row, processes, serve, wait_until
from warmup.harness import check
from warmup.harness.steps import network, subscription

pytestmark = pytest.mark.django_db(transaction=True)
STEPS = [
    "row and addresses", "environment variables", "names (DNS)", "encryption (TLS)", "clock",
    "symbol", "warmup of 1d", "WebSocket subscription", "keys in Redis", "lock", "rate limits",
]  # fmt: skip


@pytest.fixture(scope="module")
def shared():
    with serve(start_ms=MIDNIGHT_MS - Timeframe.H4.ms, speed=60) as server:
        yield server


@pytest.fixture
def sandbox(shared):
    shared.reset()
    yield shared
    shared.reset()


@pytest.fixture
def row(redis, sandbox):
    return make_row(sandbox)


@pytest.fixture
def run(monkeypatch):
    """Run the command; return its exit status and what it printed."""
    monkeypatch.setattr(network, "LONGEST_SKEW_MS", 10**15)  # the sandbox's clock flies
    monkeypatch.setattr(subscription, "LONGEST_LAG_MS", 10**15)
    monkeypatch.setattr(check, "LEAST_SECONDS", 0.1)

    def run(*arguments):
        out = StringIO()
        try:
            call_command(
                "check_exchange", *arguments, "--seconds", "0.5", stdout=out, stderr=StringIO()
            )
        except SystemExit as exit_:
            return exit_.code, out.getvalue()
        return 0, out.getvalue()

    return run


def test_a_person_sees_every_step_and_the_sum(row, run):
    status, text = run("sandbox")
    assert status == 0
    shown = [line.split("│")[1:3] for line in text.splitlines() if line.startswith("│")]
    assert [title.strip() for title, result in shown if result.strip()] == STEPS
    *_, total, note = text.splitlines()
    assert total.startswith("sandbox with BTC-USD: 9 passed, 0 failed, 2 skipped")
    assert note.startswith("note: nobody has tried Binance itself with this yet")


def test_what_fails_is_followed_by_what_to_do_and_status_one(row, run):
    Exchange.objects.filter(pk=row.pk).update(ws_url="ws://127.0.0.1:9")
    status, text = run("sandbox", "--symbol", "eth-usd")
    assert status == 1
    [todo] = [line for line in text.splitlines() if line.startswith("to do: ")]
    assert todo.startswith("to do: WebSocket subscription: check the row's WebSocket address")
    assert "cannot connect: [Errno 111]" in " ".join(text.split())
    assert "sandbox with ETH-USD: 7 passed, 1 failed, 3 skipped" in text


def test_a_program_reads_json_and_nothing_else(row, run):
    status, text = run("sandbox", "--json")
    found = json.loads(text)
    assert status == 0
    assert (found["exchange"], found["passed"]) == ("sandbox", True)
    assert [step["title"] for step in found["steps"]] == STEPS


def test_one_that_is_switched_off_is_a_finding(row, run):
    Exchange.objects.filter(pk=row.pk).update(is_active=False)
    status, text = run("sandbox")
    assert status == 1
    assert "to do: row and addresses: activate it in the admin" in text


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("nasdaq",), "unknown exchange 'nasdaq'; known are: binance, binance_us, "),
        (("sandbox", "--symbol", "BTCUSD"), "similar are: BTC-USD"),
        (("sandbox", "--symbol", "BTC-USDD"), "similar are: BTC-USD"),
        (("sandbox", "--symbol", "BTC-USD,ETH-USD"), "--symbol is one symbol"),
        (("sandbox", "--symbol", " , "), "--symbol is one symbol"),
        (("coinbase", "--symbol", "BTCUSD"), "--symbol is written BASE-QUOTE"),
        (("sandbox", "--seconds", "0"), "--seconds is 1 to 300, not 0"),
        (("sandbox", "--seconds", "301"), "--seconds is 1 to 300, not 301"),
        (("sandbox", "--seconds", "nan"), "--seconds is 1 to 300, not nan"),
        (("sandbox", "--seconds", "two"), "invalid float value: 'two'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_a_person_typed_wrong_is_one_line_and_status_two(redis, row, arguments, says):
    with pytest.raises(CommandError) as caught:
        call_command("check_exchange", *arguments)
    message = str(caught.value)
    assert says in message
    assert "\n" not in message
    assert caught.value.returncode == 2 or "invalid float" in message  # argparse exits with 2


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "TERM"])
def test_broken_off_while_it_holds_the_lock_it_leaves_nothing(redis, row, sandbox, how):
    sandbox.faults.add("slow", endpoint="klines", seconds=3)
    before = everything(redis, row)
    with processes() as manage:
        process = manage("check_exchange", "sandbox")
        wait_until(lambda: read_status(redis, row.pk).state is State.WARMING)
        status, out, err = end(process, how)
    assert status == 128 + how
    assert "Traceback" not in out + err
    assert everything(redis, row) == before
    assert not redis.exists(keys.candles(row.pk, "BTC-USD", "1d"))


def test_broken_off_while_it_listens_it_leaves_candles_alone(redis, row, sandbox):
    before = everything(redis, row)
    with processes() as manage:
        process = manage("check_exchange", "sandbox", "--seconds", "60")
        wait_until(lambda: sandbox.streams["binance"].open)
        status, out, err = end(process, signal.SIGINT)
    assert (status, "Traceback" in out + err) == (130, False)
    assert everything(redis, row) == before
    wait_until(lambda: not sandbox.streams["binance"].open)
