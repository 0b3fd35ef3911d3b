"""Candles that are kept beside what exchanges tell of them, over real sockets."""

import json
from io import StringIO

import orjson
import pytest
from django.core.management import call_command

from exchanges.models import AuditRun
from history import parquet
from history.audit.comparison import TOLERANCE
from history.manifest import digest_of
from history.models import HistoryFile
from livermore.market import keys
from livermore.market.timeframe import Timeframe
from tests.warmup.runners import MIDNIGHT_MS, backfill_without_pauses, make_row, serve

pytestmark = pytest.mark.django_db

PATH = "exchange=sandbox/symbol=BTC-USD/timeframe=1h/2026-11.parquet"
ALL = "5000"  # more than there is: every candle is compared


@pytest.fixture(scope="module")
def sandbox():
    with serve(speed=1, start_ms=MIDNIGHT_MS + 7 * 60_000) as sandbox:
        yield sandbox


@pytest.fixture
def row(redis, sandbox, folder, monkeypatch):
    """Return the exchange, with some candles in the cache."""
    backfill_without_pauses(monkeypatch)
    row = make_row(sandbox, "sandbox", ["BTC-USD"])
    said = {"symbols": "BTC-USD", "timeframes": "1d,1h", "count": 30}
    call_command("backfill", row.name, stdout=StringIO(), stderr=StringIO(), **said)
    return row


def run(command, row, *arguments):
    """Return the exit status of a command and what it says."""
    output, status = StringIO(), 0
    try:
        call_command(command, row.name, "--json", *arguments, stdout=output, stderr=StringIO())
    except SystemExit as error:
        status = error.code
    return status, json.loads(output.getvalue())


def change_in_redis(redis, row, hours_ago=5):
    """Change the close of a candle in the cache; return when it opened."""
    name = keys.candles(row.pk, "BTC-USD", Timeframe.H1)
    time_ms = MIDNIGHT_MS - hours_ago * Timeframe.H1.ms
    (member,) = redis.zrangebyscore(name, time_ms, time_ms)
    changed = orjson.loads(member)
    changed[4] = changed[2]
    redis.zrem(name, member)
    redis.zadd(name, {orjson.dumps(changed): time_ms})
    return time_ms


def fill_history(row):
    assert run("history", row, "--since", "2026-11-17", "--timeframes", "1d,1h")[0] == 0


def change_in_history(folder):
    """Change the close of a candle of history, and let the manifest know the file so."""
    content = folder.read(PATH)
    table = parquet.load(content)
    rows = parquet.rows_of(table)
    rows[7][4] = rows[7][2]
    said = parquet.library().parquet.read_schema(parquet.library().BufferReader(content)).metadata
    content = parquet.dump(parquet.table_of(rows).replace_schema_metadata(said))
    folder.write(PATH, content)
    HistoryFile.objects.filter(path=PATH).update(digest=digest_of(content), size=len(content))
    return rows[7][0]


def test_what_was_kept_true_differs_in_nothing(row):
    fill_history(row)
    status, told = run("audit", row, "--sample", ALL)
    assert (status, told["differing"], told["unknown"]) == (0, 0, 0)
    assert told["compared"] >= 2 * 30 + 2 * 24
    kept = AuditRun.objects.get()
    assert kept.is_fine
    assert (kept.compared, kept.night) == (told["compared"], None)


def test_a_sample_costs_few_calls(row):
    told = run("audit", row, "--sample", "50")[1]
    assert 50 <= told["compared"] + told["unknown"] <= 60
    assert told["candleCalls"] <= 8


def test_a_candle_that_was_changed_in_redis_is_found_and_fetched_again_when_asked(redis, row):
    time_ms = change_in_redis(redis, row)
    status, told = run("audit", row, "--sample", ALL)
    assert (status, told["differing"]) == (1, 1)
    found = told["differences"][0]
    assert (found["source"], found["symbol"], found["timeframe"]) == ("cache", "BTC-USD", "1h")
    assert found["timestamp"] == time_ms
    assert found["kept"] != found["told"]
    assert AuditRun.objects.get().differences == told["differences"]
    assert run("audit", row, "--sample", ALL)[1]["differing"] == 1  # it changes nothing
    status, told = run("audit", row, "--sample", ALL, "--repair")
    assert (status, told["repaired"] > 0) == (1, True)
    assert run("audit", row, "--sample", ALL)[0] == 0


def test_a_candle_that_was_changed_in_history_is_found_and_fetched_again_when_asked(row, folder):
    fill_history(row)
    time_ms = change_in_history(folder)
    told = run("audit", row, "--sample", ALL)[1]
    assert [(each["source"], each["timestamp"]) for each in told["differences"]] == [
        ("history", time_ms)
    ]
    told = run("audit", row, "--sample", ALL, "--repair")[1]
    assert told["repaired"] == 1
    assert run("audit", row, "--sample", ALL)[0] == 0
    assert run("history", row, "--verify")[0] == 0


@pytest.mark.parametrize("is_beyond", [False, True])
def test_a_second_exchange_may_differ_within_the_tolerance(sandbox, row, redis, is_beyond):
    """Its candles are changed where they are kept: what is compared is ours with theirs."""
    make_row(sandbox, "binance_us", ["BTC-USD"])
    factor = 1 + TOLERANCE * (30 if is_beyond else 0.5)
    name = keys.candles(row.pk, "BTC-USD", Timeframe.D1)
    members = redis.zrange(name, 0, -1)
    for member in members:
        time_ms, *values = orjson.loads(member)
        values[:4] = [each * factor for each in values[:4]]
        redis.zrem(name, member)
        redis.zadd(name, {orjson.dumps([time_ms, *values]): time_ms})
    told = run("audit", row, "--sample", ALL, "--second-venue", "binance_us")[1]
    assert told["secondCompared"] >= 50
    assert len(told["secondBeyond"]) == (len(members) if is_beyond else 0)
    assert AuditRun.objects.get().second.name == "binance_us"


def test_what_a_banned_address_can_not_ask_is_unknown(redis, folder):
    with serve(speed=1, start_ms=MIDNIGHT_MS + 7 * 60_000) as sandbox:
        row = make_row(sandbox, "sandbox", ["BTC-USD"])
        sandbox.scenarios.add("rest_418", retry_after=3600)
        status, told = run("audit", row, "--sample", "100")
    assert (status, told["differing"], told["compared"]) == (1, 0, 0)
    assert told["unknown"] == 100
    assert "banned" in told["reason"]
    kept = AuditRun.objects.get()
    assert (kept.is_fine, kept.unknown, kept.differing) == (False, 100, 0)


@pytest.mark.parametrize("arguments", [("--sample", "0"), ("--second-venue", "sandbox")])
def test_what_makes_no_sense_is_refused(row, arguments):
    with pytest.raises(Exception, match=arguments[0]):
        run("audit", row, *arguments)
