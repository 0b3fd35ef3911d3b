"""Every key in Redis x whatever somebody may write there: commands end in a line."""

import io

import pytest
from django.core.management import CommandError, call_command

from livermore.market import keys
from tests.warmup.cache.unreadable.written import TEXTS, TYPES, no_traceback, of_type, put
from warmup.network.page.snapshot import read_network
from warmup.runner.agent import Agent


def run(*arguments):
    """Run a command as from a terminal; what it fails with has to be a line, or a status."""
    out = io.StringIO()
    try:
        call_command(*arguments, stdout=out, stderr=out)
    except CommandError as error:
        assert "\n" not in str(error), error
        return str(error)
    except SystemExit as error:
        assert error.code in (0, 1), error.code
    return out.getvalue()


COMMANDS = [
    ("warmup", "--plan", "--repair"),
    ("warmup",),
    ("repair",),
    ("backfill", "--symbols", "BTC-USD,ETH-USD", "--count", "5"),
    ("indicators",),
    ("symbols",),
]
WRITING = COMMANDS[1:3]
SAMPLES = [b"", b"\xff\xfe", b"null", b"7", b"[[null]]", b'{"a":[1]}', b"9" * 40]


def run_all(redis, row, commands=COMMANDS):
    said = [run(command, row.name, *rest) for command, *rest in commands]
    Agent(redis, said.append).step()
    return said


@pytest.mark.django_db
@pytest.mark.parametrize("what", TEXTS)
def test_whatever_is_written_into_a_value_commands_end_in_a_line(redis, warm, caplog, what):
    name_of, field, _ = TEXTS[what]
    own = [*TEXTS].index(what) % len(SAMPLES)
    for at, text in enumerate(SAMPLES):
        put(redis, name_of(warm), field, text)
        if what == "lock":
            redis.pexpire(name_of(warm), 300)
        run_all(redis, warm, COMMANDS if at == own else WRITING)  # the others write little
        redis.delete(name_of(warm))
    no_traceback(caplog)


@pytest.mark.django_db
@pytest.mark.parametrize("what", TYPES)
def test_whatever_type_a_key_is_of_commands_end_in_a_line(redis, warm, caplog, what):
    name_of, right = TYPES[what]
    kind = next(each for each in ("hash", "string") if each != right)
    of_type(redis, name_of(warm), kind)
    said = run_all(redis, warm)
    if what in ("lock", "epoch", "candles", "coverage", "ban"):
        assert any(name_of(warm) in line for line in said[1:4]), said[1:4]
    run("check_exchange", warm.name, "--seconds", "0.2")
    assert redis.type(name_of(warm)).decode() == kind or what in (
        *("status", "stats", "schedule", "live", "indicator", "ticker", "trouble"),
    )
    no_traceback(caplog)


@pytest.mark.django_db
def test_a_lock_that_never_ends_is_told_with_what_to_do(redis, warm):
    redis.set(keys.lock(warm.pk), "mine")
    said = run("warmup", warm.name)
    assert "exchange:4:lock can't be read" in said.replace(str(warm.pk), "4")
    assert f"redis-cli DEL {keys.lock(warm.pk)}" in said
    card = read_network(redis, None)["cards"][0]
    assert f"redis-cli DEL {keys.lock(warm.pk)}" in card["lines"]["unreadable"]
    assert card["stateText"] == "Stale: nobody knows who has it"
    assert "take-over" not in card["buttons"]
    assert redis.get(keys.lock(warm.pk)) == b"mine"
