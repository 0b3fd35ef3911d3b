"""Commands that write candles: under the lock, or by the runner that has it."""

import json
import signal
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from exchanges.lock.acquire import ExchangeLock
from exchanges.lock.status import State, read_status
from livermore.market import keys
from livermore.market.timeframe import Timeframe
from tests.warmup.runners import (
    SYMBOLS,
    Comparison,
    end,
    make_row,
    processes,
    running,
    serve,
    stored,
    wait_until,
    with_short_lease,
)
from warmup.runner import hand_over
from warmup.runner.hand_over import TTL_MS

pytestmark = pytest.mark.django_db(transaction=True)

BACKFILL = ("backfill", "sandbox", "--symbols", "BTC-USD", "--timeframes", "1h", "--count", "7")


@pytest.fixture
def sandbox():
    with serve() as server:
        yield server


@pytest.fixture
def row(redis, sandbox):
    return make_row(sandbox)


@pytest.fixture
def lock(redis, row):
    """Return a lock as a command takes it."""
    return ExchangeLock(redis, row.pk, ttl_ms=TTL_MS, renew_ms=hand_over.RENEW_MS)


@pytest.fixture
def manage():
    with processes() as manage:
        yield manage


def run(*arguments):
    """Run a command here; return its two outputs."""
    out, err = StringIO(), StringIO()
    call_command(*arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def without_numbers(result):
    """Return the shape of a JSON result: its names, however deep."""
    if isinstance(result, dict):
        return {name: without_numbers(value) for name, value in result.items()}
    return list if isinstance(result, list) else type(result) if result is None else object


@pytest.mark.parametrize(
    "arguments",
    [("warmup", "sandbox"), ("warmup", "sandbox", "--repair"), ("repair", "sandbox"), BACKFILL],
    ids=" ".join,
)
def test_a_live_runner_does_it_and_the_same_is_printed(redis, row, arguments):
    run("warmup", "sandbox")
    alone = json.loads(run(*arguments, "--json")[0])
    with running(redis, row):
        out, said = run(*arguments, "--json")
        handed_over = json.loads(out)
    assert without_numbers(handed_over) == without_numbers(alone)
    assert said == ""
    commands = [fields[b"message"] for _, fields in redis.xrange(keys.control(row.pk))]
    assert commands


def test_what_is_handed_over_is_what_was_asked_for(redis, row):
    with running(redis, row):
        text, _ = run(*BACKFILL)
        assert text.startswith("sandbox: fetched 1 pairs: 7 candles in 1 stretches by 1 calls")
        redis.delete(keys.candles(row.pk, "ETH-USD", Timeframe.D1))
        result = json.loads(run("warmup", "sandbox", "--timeframes", "1d,4h", "--json")[0])
        [entry] = result["schedule"]["entries"]
        assert (entry["symbol"], entry["timeframe"]) == ("ETH-USD", "1d")
        assert len(stored(redis, row.pk, "ETH-USD", Timeframe.D1)[0]) == 100


def test_a_repair_by_the_runner_repairs_what_is_missing(redis, row, sandbox):
    truth = Comparison(redis, sandbox, row)
    with running(redis, row):
        truth.wait(sandbox.clock.now_ms())
        redis.zremrangebyrank(keys.candles(row.pk, "BTC-USD", Timeframe.H1), 20, 29)
        redis.delete(keys.coverage(row.pk, "BTC-USD", Timeframe.H1))
        text, _ = run("repair", "sandbox", "--timeframes", "1h")
        assert "sandbox: repaired 1 pairs" in text
        assert truth.faults() == []


def test_what_the_runner_cannot_do_is_one_line(redis, row, sandbox):
    with running(redis, row):
        sandbox.faults.add("status", status=451)
        with pytest.raises(CommandError) as caught:
            run(*BACKFILL)
    assert str(caught.value).startswith("the runner of sandbox could not do it: ")
    assert "\n" not in str(caught.value)


def test_while_another_command_goes_on_it_says_so_in_a_line_and_gives_up(redis, row, lock):
    with lock.acquire() as lease:
        lease.report(State.WARMING, "repair")
        err = StringIO()
        with pytest.raises(CommandError, match="is held by") as caught:
            call_command(*BACKFILL, stdout=StringIO(), stderr=err)
    [line] = err.getvalue().strip().splitlines()
    assert str(lease.holder) in line
    assert line.endswith("Waiting for it to end")
    assert "\n" not in str(caught.value)
    assert not redis.keys("candles:*")


def test_it_goes_on_as_soon_as_the_other_ends(redis, row, sandbox, manage):
    sandbox.scenarios.add("slow", delay=0.3)
    other = manage("warmup", "sandbox", "--symbols", "ETH-USD", "--timeframes", "1d")
    wait_until(lambda: read_status(redis, row.pk).state is State.WARMING)
    out, err = run(*BACKFILL)
    assert err.count("\n") == 1
    assert "7 candles" in out
    assert other.wait(10) == 0
    assert len(stored(redis, row.pk, "ETH-USD", Timeframe.D1)[0]) == 100


def test_after_a_kill_the_next_run_goes_on_once_the_lock_ran_out(redis, row, sandbox, manage):
    sandbox.scenarios.add("slow", delay=1)
    first = manage("warmup", "sandbox")
    wait_until(lambda: read_status(redis, row.pk).state is State.WARMING)
    end(first, signal.SIGKILL)
    assert 0 < redis.pttl(keys.lock(row.pk)) <= TTL_MS
    sandbox.scenarios.clear()
    out, err = run("warmup", "sandbox", "--json")
    assert json.loads(out)["stats"]["completedPairs"] > 0
    assert "Waiting for it to end" in err
    assert Comparison(redis, sandbox, row).faults() == []


def test_each_run_has_an_epoch_of_its_own_and_leaves_the_lock_free(redis, row):
    run(*BACKFILL)
    first = int(redis.get(keys.epoch(row.pk)))
    run("repair", "sandbox", "--symbols", "BTC-USD")
    assert int(redis.get(keys.epoch(row.pk))) > first
    assert not redis.exists(keys.lock(row.pk))
    assert read_status(redis, row.pk).state is State.STOPPED


def test_who_is_taken_over_in_the_middle_writes_nothing_more(redis, row, sandbox, lock, manage):
    sandbox.scenarios.add("slow", delay=0.5)
    process = manage("warmup", "sandbox", "--symbols", ",".join(SYMBOLS))
    holder = wait_until(lock.holder)
    lease = lock.take_over(holder.instance_id, "a test")
    before = redis.keys("candles:*")
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Traceback" not in said
    assert said.strip().splitlines()[-1].startswith("Error: The write was refused")
    assert redis.keys("candles:*") == before
    assert lock.holder() == lease.holder
    lease.release()


@pytest.fixture
def short_timeouts(monkeypatch):
    monkeypatch.setattr(hand_over, "SECONDS_OF_SILENCE", 4)


def test_beside_a_stream_without_a_runner_it_is_not_left_without_an_answer(
    redis, row, sandbox, manage, short_timeouts
):
    manage("stream", "sandbox", "--symbols", "BTC-USD")
    wait_until(lambda: read_status(redis, row.pk).state is State.ACTIVE)
    with pytest.raises(CommandError, match="is held by"):
        run(*BACKFILL)


def test_after_a_runner_was_killed_it_goes_on_once_the_lock_ran_out(
    redis, row, sandbox, manage, short_timeouts
):
    runner = manage(code=with_short_lease("start", "sandbox"))
    wait_until(lambda: read_status(redis, row.pk).state is State.ACTIVE)
    end(runner, signal.SIGKILL)
    assert "7 candles" in run(*BACKFILL)[0]
