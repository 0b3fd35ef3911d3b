"""What somebody writes in Redis while an exchange is live: its runner goes on with all others."""

import pytest

from exchanges.redis.unreadable import OnceAnHour
from livermore.market import keys
from livermore.market.pair import pairs_of
from tests.warmup.cache.unreadable.written import (
    PAIR,
    TEXTS,
    TYPES,
    named,
    no_traceback,
    of_type,
    put,
    texts_for,
)
from tests.warmup.runners import (
    MINUTE_MS,
    SYMBOLS,
    Comparison,
    hurry,
    make_row,
    running,
    serve,
    short_lease,
    wait_until,
)
from warmup.runner.agent import Agent

LIVE_TYPES = ("candles", "coverage", "live", "ticker", "indicator", "status", "stats", "schedule")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("venue", ["sandbox", "coinbase"])
def test_a_runner_goes_on_with_all_others(redis, monkeypatch, caplog, venue):
    hurry(monkeypatch)
    with serve() as sandbox:
        row = make_row(sandbox, venue)
        with running(redis, row) as one:
            for what in (*LIVE_TYPES, "unconfirmed", "control", "agents", "trouble"):
                name_of, right = TYPES[what]
                of_type(redis, name_of(row), "list" if right != "list" else "string")
            for what, (name_of, field, good) in TEXTS.items():
                if what not in (*LIVE_TYPES, "lock", "epoch", "agents", "unconfirmed", "trouble"):
                    for text in texts_for(good):
                        put(redis, name_of(row), field, text)
            redis.xadd(keys.events(row.pk), {"other": "x"})
            redis.xadd(keys.events(row.pk), {"event": "\xff"})
            others = [(s, t) for s, t in pairs_of(SYMBOLS) if (s, t) != PAIR]
            beside = Comparison(redis, sandbox, row)
            beside._pairs = others
            beside.wait(sandbox.clock.now_ms() + 3 * MINUTE_MS)
            assert not one.ended, one.error
        no_traceback(caplog)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("what", ["events", "told"])
def test_what_cant_be_told_waits_until_it_can(redis, monkeypatch, what):
    hurry(monkeypatch)
    with serve() as sandbox:
        row = make_row(sandbox)
        name = TYPES[what][0](row)
        with running(redis, row) as one:
            kept = wait_until(lambda: redis.dump(name))
            of_type(redis, name, "string")
            trouble = wait_until(lambda: one.runner.measured()["unreadable"])
            assert f"{name} is a string, not a " in trouble
            wait_until(lambda: one.runner.measured()["pendingCloses"])
            redis.restore(name, 0, kept, replace=True)
            everything = Comparison(redis, sandbox, row)
            everything.wait(sandbox.clock.now_ms() + 2 * MINUTE_MS)
            assert not everything.faults()
            assert one.runner.measured()["unreadable"] == ""


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("text", [b"", b"mine", b"-1", b"9" * 30, None])
@pytest.mark.parametrize("name_of", [keys.lock, keys.epoch])
def test_a_runner_whose_lock_or_epoch_somebody_overwrites_stops_in_a_line(
    redis, monkeypatch, caplog, name_of, text
):
    hurry(monkeypatch)
    short_lease(monkeypatch)
    with serve() as sandbox:
        row = make_row(sandbox)
        with pytest.raises(AssertionError), running(redis, row) as one:
            if text is None:
                of_type(redis, name_of(row.pk), "hash")
            else:
                redis.set(name_of(row.pk), text)
            wait_until(lambda: one.ended)
        assert "stopped: " in str(one.error)
        assert name_of(row.pk) in str(one.error)
        no_traceback(caplog)


@pytest.mark.django_db
def test_agents_of_another_type_are_named_once(redis, row, caplog, monkeypatch):
    monkeypatch.setattr("exchanges.redis.unreadable._news", OnceAnHour())
    redis.set(keys.agents(), "mine")
    one = Agent(redis, print)
    for _ in range(3):
        one.step()
    assert len(named(caplog, keys.agents())) == 1
    assert "not_registered" not in caplog.text
