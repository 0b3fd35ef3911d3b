"""What people had done to an exchange lately, as it is kept and shown."""

import getpass
import socket

import pytest
from django.contrib.admin.models import LogEntry
from django.core.management import call_command

from exchanges.lock.control_client import ControlClient
from livermore.market import keys
from tests.warmup.network.operators import commands, held_by, listed_exchange, live, person
from tests.warmup.runners import make_row, processes, running, serve, wait_until
from warmup.network.actions.base import Refused
from warmup.network.actions.exchange import Actions
from warmup.network.page.snapshot import read_network
from warmup.runner.command_log import KEPT, CommandLog, Entry, describe, operator

pytestmark = pytest.mark.django_db(transaction=True)

HERE = f"{getpass.getuser()}@{socket.gethostname()}"


@pytest.fixture
def sandbox():
    with serve() as server:
        yield server


def commands_of(redis, row):
    cards = read_network(redis, None)["cards"]
    return next(card["commands"] for card in cards if card["exchangeId"] == row.pk)


def titles(redis, row):
    return [(each["what"], each["who"], each["state"]) for each in commands_of(redis, row)]


def test_a_command_of_the_terminal_is_listed_with_who_and_what_came_of_it(redis, sandbox):
    row = make_row(sandbox)
    call_command("backfill", "sandbox", symbols="BTC-USD,ETH-USD", count=60)
    call_command("repair", "sandbox")
    assert titles(redis, row) == [
        ("Repair BTC-USD, ETH-USD, SOL-USD", HERE, "done"),
        ("Backfill BTC-USD, ETH-USD 5m/15m/1h/4h/1d", HERE, "done"),
    ]
    assert commands_of(redis, row)[1]["result"].startswith("10 pairs, 600 candles, 0 failed")


def test_a_command_that_a_runner_does_for_a_terminal_has_who_typed_it(redis, sandbox):
    row = make_row(sandbox)
    with running(redis, row) as one:
        one.wait_until_live()
        call_command("repair", "sandbox", symbols="BTC-USD")
        wait_until(lambda: titles(redis, row) == [("Repair BTC-USD", HERE, "done")])


def test_what_is_done_on_the_page_is_listed_with_the_users_name(redis, sandbox):
    row = make_row(sandbox)
    actions = Actions(redis, row, person("ada", is_superuser=True))
    actions.sync_symbols()
    actions.connect()
    with running(redis, row) as one:
        one.wait_until_live()
        actions.repair("BTC-USD", "1m")
        wait_until(lambda: titles(redis, row)[0] == ("Repair BTC-USD 1m", "ada", "done"))
    assert titles(redis, row)[1] == ("Connect", "ada", "done")
    assert titles(redis, row)[2][0].startswith("Sync symbols: ")


def test_what_an_agent_is_to_do_is_said_to_be_asked_for(redis):
    row = listed_exchange()
    Actions(redis, row, person("ada", is_superuser=True)).connect()
    assert commands_of(redis, row)[0]["result"] == "asked for"


@pytest.mark.parametrize(
    ("what", "act"),
    [
        ("Sync symbols", lambda actions: actions.sync_symbols()),
        ("Add the most traded of USD", lambda actions: actions.add_most_traded("2", "usd")),
    ],
)
def test_what_the_page_asked_for_and_the_exchange_failed_at_is_kept(redis, sandbox, what, act):
    row = make_row(sandbox)
    sandbox.scenarios.add("rest_451")
    with pytest.raises(Refused):
        act(Actions(redis, row, person("ada", is_superuser=True), "because"))
    assert titles(redis, row) == [(what, "ada", "failed")]
    assert "451" in commands_of(redis, row)[0]["result"]
    (entry,) = LogEntry.objects.all()
    assert entry.get_change_message().startswith(f"{what} failed: ")
    assert "451" in entry.get_change_message()
    assert entry.get_change_message().endswith("(because)")


def test_one_that_fails_says_why(redis, sandbox):
    row = make_row(sandbox)
    sandbox.scenarios.add("rest_451")
    with pytest.raises(Exception, match="451"):
        call_command("repair", "sandbox")
    found = commands_of(redis, row)[0]
    assert found["state"] == "failed" and "451" in found["result"]


def test_one_under_way_says_how_far_it_is_and_one_whose_holder_is_gone_that_it_is_broken_off(redis):
    row = listed_exchange()
    holder = held_by(redis, row, 7)
    progress = CommandLog(redis, row.pk).begin("Repair", "eve@far", holder.epoch)
    assert commands_of(redis, row)[0]["state"] == "running"
    progress._written_at = 0
    progress.show({"done": 12, "total": 30})
    found = commands_of(redis, row)[0]
    assert (found["result"], found["percent"]) == ("12 of 30 pairs", 40.0)
    held_by(redis, row, 8)
    found = commands_of(redis, row)[0]
    assert (found["state"], found["result"]) == ("failed", "broken off")
    redis.delete(keys.lock(row.pk))
    assert commands_of(redis, row)[0]["result"] == "broken off"


def test_a_command_that_was_killed_is_broken_off_when_its_lock_ends(redis, sandbox):
    row = make_row(sandbox)
    sandbox.scenarios.add("slow", delay=30)
    with processes() as manage:
        command = manage("repair", "sandbox")
        wait_until(lambda: [each["state"] for each in commands_of(redis, row)] == ["running"])
        command.kill()
        command.wait()
        wait_until(lambda: commands_of(redis, row)[0]["result"] == "broken off", 15)


def test_the_newest_twenty_are_kept(redis):
    row = listed_exchange()
    log = CommandLog(redis, row.pk)
    redis.hset(keys.commands(row.pk), "of-another", "no JSON")
    for number in range(KEPT + 5):
        log.write(Entry(str(number), f"n{number}", "ada", 1000 + number, ended_at=2000))
    assert redis.hlen(keys.commands(row.pk)) == KEPT
    found = [each["what"] for each in commands_of(redis, row)]
    assert found == [f"n{number}" for number in range(KEPT + 4, 4, -1)]


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b'{"id": 1}', b"\xff\xff", b"7"])
def test_what_nobody_of_ours_wrote_is_left_out(redis, text):
    row = listed_exchange()
    redis.hset(keys.commands(row.pk), "x", text)
    CommandLog(redis, row.pk).note("Stop", "ada")
    assert titles(redis, row) == [("Stop", "ada", "done")]


def test_long_and_strange_texts_are_cut_to_a_line(redis):
    row = listed_exchange()
    CommandLog(redis, row.pk).note("a\nb\x1b" + 999 * "x", 999 * "y", False, 999 * "z")
    found = commands_of(redis, row)[0]
    assert all(len(found[name]) <= 200 for name in ("what", "who", "result"))
    assert found["what"].startswith("a b?")


def test_who_wants_a_command_is_no_part_of_its_arguments(redis):
    row = listed_exchange()
    live(redis, row)
    ControlClient(redis, row.pk, "ada").send("repair", symbols=["BTC-USD"])

    assert commands(redis, row) == [("repair", {"symbols": ["BTC-USD"]})]


@pytest.mark.parametrize(
    ("command", "arguments", "text"),
    [
        ("repair", {}, "Repair"),
        ("repair", {"symbol": "A-B"}, "Repair A-B"),
        ("warmup", {"symbols": ["A"] * 18, "timeframes": ["1m"]}, "Warmup of 18 symbols 1m"),
        ("warmup", {"symbols": None, "timeframes": None}, "Warmup"),
        ("rename-symbol", {"old": "A-B", "new": "C-B"}, "Rename A-B to C-B"),
    ],
)
def test_a_command_is_described_for_a_person(command, arguments, text):
    assert describe(command, arguments) == text


def test_who_has_no_name_is_somebody(monkeypatch):
    def nobody():
        raise KeyError("getpwuid(): uid not found: 4711")

    monkeypatch.setattr(getpass, "getuser", nobody)
    assert operator() == f"somebody@{socket.gethostname()}"
