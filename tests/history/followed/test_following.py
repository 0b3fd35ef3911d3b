"""History that is followed by processes: over their ends, whatever Redis and the disk do."""

import os
import signal
from dataclasses import replace
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connections

from exchanges.errors import Temporary
from exchanges.models import Symbol
from history.filling import HistoryFilling
from history.following import follower as follower_module
from history.following.follower import HistoryFollower
from history.following.kept import kept_of
from history.following.news import EventNews
from history.following.service import HistoryService
from history.manifest import Manifest
from history.models import HistoryFile, KeptHistory
from history.places.folder import Folder
from history.store.settling import Settling
from history.store.store import HistoryStore
from history.turn import Turn, TurnTaken
from livermore.command import UsageError
from livermore.market import keys
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe
from livermore.running.supervisor import HISTORY_SECONDS, Supervisor
from tests.history.followed.told import Told, faults
from tests.warmup.runners import (
    MIDNIGHT_MS,
    MINUTE_MS,
    chosen,
    end,
    make_row,
    processes,
    serve,
    wait_until,
)
from warmup.cache.unconfirmed import SECOND_LOOK_MS

pytestmark = pytest.mark.django_db(transaction=True)

DAY_MS, HOUR_MS = 24 * 60 * MINUTE_MS, 60 * MINUTE_MS
SYMBOLS = ["BTC-USD", "ETH-USD"]
SHORT = (Timeframe.D1, Timeframe.H1, Timeframe.M5)
SINCE, SINCE_MS = "2026-11-18", MIDNIGHT_MS - DAY_MS
CACHED_MS = MIDNIGHT_MS - 3 * HOUR_MS  # from when on the cache has candles


@pytest.fixture
def sandbox():
    with serve(speed=0, start_ms=MIDNIGHT_MS + 7 * MINUTE_MS) as sandbox:
        yield sandbox


@pytest.fixture
def told(redis, sandbox, folder, monkeypatch):
    """Keep two days, of which the cache has the last hours; the exchange's clock is believed."""
    row = make_row(sandbox, "sandbox", SYMBOLS)
    KeptHistory.objects.create(exchange=row, since=SINCE, timeframes=["1h", "5m"])
    told = Told(redis, sandbox, row, SYMBOLS, SHORT)
    told.close(CACHED_MS, MIDNIGHT_MS)
    monkeypatch.setattr(follower_module, "time_now_ms", lambda *_: sandbox.clock.now_ms())
    return told


@pytest.fixture
def round_of(redis, told):
    """Return what does a round as a process does that has just begun."""
    return lambda: HistoryFollower(redis, told.row).step()


def test_what_the_cache_does_not_reach_is_fetched_once(told, round_of, folder):
    round_of()
    assert faults(told, folder, SINCE_MS, MIDNIGHT_MS) == []
    calls = told.sandbox.requests.counts["binance.klines"]
    round_of()
    assert told.sandbox.requests.counts["binance.klines"] == calls


def test_a_week_in_which_nobody_followed_is_filled(told, round_of, folder):
    round_of()
    told.sandbox.clock.advance(7 * DAY_MS)
    told.redis.delete(*(keys.candles(told.row.pk, *pair) for pair in told.pairs))
    told.close(MIDNIGHT_MS + 7 * DAY_MS - HOUR_MS, MIDNIGHT_MS + 7 * DAY_MS)
    round_of()
    assert faults(told, folder, SINCE_MS, MIDNIGHT_MS + 7 * DAY_MS) == []


def test_a_lost_redis_costs_nothing(told, round_of, folder):
    round_of()
    told.redis.flushall()
    told.sandbox.clock.advance(5 * HOUR_MS)
    round_of()
    told.close(MIDNIGHT_MS + 4 * HOUR_MS, MIDNIGHT_MS + 5 * HOUR_MS)
    round_of()
    assert faults(told, folder, SINCE_MS, MIDNIGHT_MS + 5 * HOUR_MS) == []


def test_what_was_told_empty_once_is_looked_at_again_when_it_is_due(redis, folder, monkeypatch):
    began_ms = MIDNIGHT_MS - DAY_MS
    listing = replace(chosen(["BTC-USD"])[0], listed_ms=began_ms)
    with serve(speed=0, start_ms=MIDNIGHT_MS + 7 * MINUTE_MS, listings=(listing,)) as sandbox:
        row = make_row(sandbox, "sandbox", ["BTC-USD"])
        monkeypatch.setattr(follower_module, "time_now_ms", lambda *_: sandbox.clock.now_ms())
        KeptHistory.objects.create(exchange=row, since="2018-01-01", timeframes=["1h"])
        store, pair = HistoryStore(folder, row), Pair("BTC-USD", Timeframe.D1)
        follower = HistoryFollower(redis, row)
        follower.step()
        assert store.unconfirmed(pair) and store.coverage(pair)[0][0] == began_ms
        sandbox.clock.advance(SECOND_LOOK_MS + MINUTE_MS)
        HistoryFollower(redis, row).step()
        assert store.unconfirmed(pair) == ()
        for timeframe in (Timeframe.D1, Timeframe.H1):
            (known,) = store.coverage(Pair("BTC-USD", timeframe))
            assert known[0] < began_ms < known[1]


def test_on_a_full_disk_what_was_there_stays_and_it_goes_on_when_there_is_room(
    told, round_of, folder, tmp_path, monkeypatch
):
    round_of()
    told.sandbox.clock.advance(HOUR_MS)
    told.close(MIDNIGHT_MS, MIDNIGHT_MS + HOUR_MS)
    writing = Folder.write

    def full(self, path, content):
        with self._faults():
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(Folder, "write", full)
    with pytest.raises(Temporary, match=r"can't be kept in .*: No space left on device"):
        round_of()
    assert faults(told, folder, SINCE_MS, MIDNIGHT_MS) == []
    monkeypatch.setattr(Folder, "write", writing)
    round_of()
    assert faults(told, folder, SINCE_MS, MIDNIGHT_MS + HOUR_MS) == []


def test_two_never_write_at_once_and_one_says_that_it_waits(told, redis, folder, caplog):
    first = HistoryFollower(redis, told.row)
    with Turn(redis, told.row):
        with pytest.raises(TurnTaken, match="another process writes the history of sandbox"):
            first.step()
        first.start()
        wait_until(lambda: "history.turn_taken exchange=sandbox" in caplog.text)
        assert HistoryFile.objects.count() == 0
        first.stop()
        first.join(5)
    assert not first.alive


def test_who_lost_the_turn_writes_no_more(told, redis, folder):
    candles = told.cache.newest("BTC-USD", Timeframe.H1, 1)
    covered = ((candles[0].timestamp, candles[0].close_time_ms),)
    with Turn(redis, told.row) as turn:
        store = HistoryStore(folder, told.row, may_write=turn.check)
        redis.flushall()
        with pytest.raises(Temporary, match="the turn to write the history of sandbox was lost"):
            store.write(Pair("BTC-USD", Timeframe.H1), candles, covered)
    assert list(folder.paths()) == []


POINTS = [  # of what which method is called, the how-manieth time, and is it killed before it
    (Folder, "write", 1, False), (Folder, "write", 5, False), (Settling, "confirm", 3, False),
    (Folder, "write", 4, True), (EventNews, "read", 1, False), (EventNews, "acknowledge", 1, True),
    (HistoryFilling, "_write", 1, True), (HistoryFilling, "_write", 2, True),
    (Manifest, "_cover", 2, True), (Folder, "write", 8, False),
]  # fmt: skip


def killed_at(owner, name, number, before, work):
    """Let a process do some work that ends by SIGKILL at a call; return the signal, 0 for none."""
    original, left = getattr(owner, name), number
    connections.close_all()
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def method(*arguments):
        nonlocal left
        left -= 1
        if before and not left:
            os.kill(os.getpid(), signal.SIGKILL)
        found = original(*arguments)
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        return found

    setattr(owner, name, method)
    try:
        work()
    finally:
        os._exit(0)


def test_killed_at_any_point_it_goes_on_from_there(told, round_of, folder):
    until_ms = MIDNIGHT_MS
    for point in POINTS:
        assert killed_at(*point, round_of) == -signal.SIGKILL, point
        told.redis.delete(keys.history_turn(told.row.pk))  # it would end by itself
        told.sandbox.clock.advance(HOUR_MS)
        told.close(until_ms, until_ms := until_ms + HOUR_MS)
    round_of()
    assert faults(told, folder, SINCE_MS, until_ms) == []
    assert all(path.endswith("parquet") for path in folder.paths())


def known_until(told, folder):
    """Return up to when history has all five minutes."""
    store = HistoryStore(folder, told.row)
    ends = [store.coverage(pair) for pair in told.pairs if pair.timeframe is Timeframe.M5]
    return min(each[-1][1] if each else 0 for each in ends)


def test_the_command_follows_until_it_is_told_to_end(told, folder, monkeypatch):
    monkeypatch.setenv("LIVERMORE_HISTORY", str(folder))
    monkeypatch.setenv("LIVERMORE_HISTORY_SECONDS", "1")
    with processes() as start:
        process = start("history", "--follow")
        assert process.stdout.readline() == "history of sandbox: continued\n"
        for until_ms in (MIDNIGHT_MS, MIDNIGHT_MS + 5 * MINUTE_MS):
            told.close(until_ms - 5 * MINUTE_MS, until_ms)
            wait_until(lambda ms=until_ms: known_until(told, folder) == ms)
        assert faults(told, folder, CACHED_MS, MIDNIGHT_MS + 5 * MINUTE_MS) == []
        assert end(process, seconds=10)[0] == 0


def test_where_nothing_is_kept_yet_that_is_said(told, monkeypatch):
    monkeypatch.setattr(HistoryService, "run", lambda self: None)
    said = []
    for is_kept in (True, False):
        KeptHistory.objects.update(is_active=is_kept)
        output = StringIO()
        call_command("history", "--follow", stdout=output)
        said.append(output.getvalue())
    assert said[0] == ""
    assert said[1].startswith("no history is kept yet: `./run history NAME --since")


def test_a_place_that_is_empty_where_another_one_was_filled_is_told(
    told, redis, settings, tmp_path, caplog
):
    HistoryFollower(redis, told.row).step()
    assert "history.another_place" not in caplog.text
    settings.HISTORY = str(tmp_path / "not mounted")
    follower = HistoryFollower(redis, told.row)
    follower.step()
    follower.step()
    assert caplog.text.count("history.another_place exchange=sandbox") == 1
    caplog.clear()
    HistoryFollower(redis, told.row).step()  # it has begun there
    assert "history.another_place" not in caplog.text


def test_what_is_kept_no_more_is_not_followed(told, redis, folder):
    said = []
    service = HistoryService(redis, said.append)
    service.step()
    (one,) = service._followers.values()
    KeptHistory.objects.update(is_active=False)
    service.step()
    assert not one.alive
    assert (said, service._followers) == (["history of sandbox: continued"], {})


def test_what_is_filled_since_a_day_is_kept_and_a_stretch_alone_is_not(told, folder):
    def fill(*arguments):
        call_command("history", "sandbox", "--json", *arguments, stdout=StringIO())
        row = KeptHistory.objects.get()
        return str(row.since), row.symbols, row.timeframes

    fill("--since", "2026-11-17", "--until", "2026-11-18", "--timeframes", "1h")
    assert KeptHistory.objects.get().timeframes == ["1h", "5m"]
    kept = fill("--since", "2026-11-18", "--symbols", "ETH-USD", "--timeframes", "1h")
    assert kept == ("2026-11-18", ["ETH-USD"], ["1h"])
    assert fill() == kept
    assert {Pair("ETH-USD", Timeframe.H1), Pair("BTC-USD", Timeframe.H1)} < {
        *HistoryStore(folder, told.row).coverages()
    }


def test_run_follows_once_history_is_kept(told, settings, monkeypatch):
    settings.HISTORY_IS_NAMED = False
    started, said = [], []
    supervisor = Supervisor(said.append)
    monkeypatch.setattr(supervisor._children, "start", lambda child: started.append(child.name))
    KeptHistory.objects.update(is_active=False)
    supervisor._keep_history(0.0)
    assert started == []
    KeptHistory.objects.update(is_active=True)
    for now in (1.0, HISTORY_SECONDS, 2 * HISTORY_SECONDS):
        supervisor._keep_history(now)
    assert started == ["history"]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["coinbase", "--follow"], "no history of coinbase is kept"),
        (["sandbox", "--follow", "--until", "2026-01-01"], "not by --until"),
        (["sandbox", "--follow", "--archives", "no"], "not by --archives"),
        ([], "which exchange is not said"),
        (["sandbox", "--since", "2026-11-20"], "--since 2026-11-20 has not come yet"),
        (["sandbox", "--symbols", ""], "--symbols names nothing"),
    ],
)
def test_what_is_called_wrongly_is_said_in_a_line(told, arguments, why):
    before = KeptHistory.objects.values().get()
    with pytest.raises(UsageError, match=why):
        call_command("history", *arguments)
    assert KeptHistory.objects.values().get() == before


def test_what_was_renamed_is_kept_under_its_new_name_too(told, sandbox):
    KeptHistory.objects.update(symbols=["BTC-USD"])
    symbols = told.row.symbols
    symbols.filter(symbol="BTC-USD").update(status=Symbol.Status.RENAMED, renamed_to="ETH-USD")
    assert list(kept_of(KeptHistory.objects.get()).symbols) == ["BTC-USD", "ETH-USD"]
    output = StringIO()
    call_command("history", "sandbox", "--json", stdout=output, stderr=StringIO())
    asked = {each.symbol for each in sandbox.requests.candles}
    assert asked == {"ETH-USD"}


def test_where_nothing_that_is_kept_trades_nothing_else_is_fetched(told):
    KeptHistory.objects.update(symbols=["BTC-USD"])
    told.row.symbols.filter(symbol="BTC-USD").update(status=Symbol.Status.DELISTED)
    with pytest.raises(UsageError, match=r"is asked for nothing that does not trade: BTC-USD"):
        call_command("history", "sandbox", stderr=StringIO())
