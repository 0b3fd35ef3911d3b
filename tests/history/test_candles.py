"""`candles`: what the cache and history hold of a pair, together, in every form."""

import csv
import errno
import json
import os
import subprocess
from io import StringIO

import pandas
import pytest
from django.core.management import CommandError, call_command

from exchanges.venues.binance.rest import BinanceRest
from history.export.writers import CsvWriter, ParquetWriter, utc
from history.reading import FIRST_TRADE_MS
from livermore.command import UsageError
from livermore.market.pair import Pair
from tests.history.past import BTC, H1, KEPT, Past
from tests.history.test_files import path_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def past(folder, redis):
    return Past(folder, redis)


def candles(*arguments, timeframe="1h"):
    """Return what the command writes to its two streams, and its exit status."""
    output, errors, status = StringIO(), StringIO(), 0
    try:
        call_command("candles", "sandbox", BTC, timeframe, *arguments, stdout=output, stderr=errors)
    except SystemExit as exit:
        status = exit.code
    return output.getvalue(), errors.getvalue(), status


def as_json(*arguments, **how):
    return json.loads(candles("--json", *arguments, **how)[0])


def test_what_both_have_is_told_together(past):
    told = as_json()
    assert told["candles"] == [[*row, None, None, None, None] for row in past.rows()]
    assert (told["complete"], told["missing"], told["source"]) == (True, [], "cache+history")
    assert as_json("--count", "10")["source"] == "cache"
    assert [row[0] for row in as_json("--count", "300")["candles"]] == [
        row[0] for row in past.rows(-300)
    ]
    oldest = as_json("--since", "2020-01-01", "--until", "2030-01-01", "--count", "5")
    assert oldest["missing"][0][1] == oldest["candles"][0][0] == past.first_ms
    assert len(oldest["candles"]) == 5


def test_what_is_missing_is_said(past):
    output, errors, status = candles("--since", "2025-01-01", "--csv", "--strict")
    assert len(output.splitlines()) == KEPT + 1
    assert errors.startswith("missing: 2025-01-01T00:00:00Z to ")
    assert status == 1
    assert candles("--count", "300", "--strict")[1:] == ("", 0)


def test_what_the_exchange_tells_of_no_more_is_said_to_be_lost(past, monkeypatch):
    monkeypatch.setattr(BinanceRest, "depth_rows", 720)
    _, errors, _ = candles("--since", "2025-01-01", "--csv")
    told = utc(past.open_ms - 720 * H1.ms)
    assert f"; not to be had before {told}: the exchange tells of nothing that old" in errors


def test_an_open_candle_is_shown_to_those_alone_who_ask_for_it(past):
    assert as_json("--count", "2")["candles"][-1][0] == past.open_ms - H1.ms
    told = as_json("--count", "2", "--live")
    assert told["candles"][-1][:6] == told["open"][:6] == past.open_candle.row()


def test_files_hold_the_same(past, folder, tmp_path):
    for name, options in (("all.csv", ["--csv"]), ("all.parquet", ["--parquet"])):
        assert candles(*options, str(tmp_path / name)) == ("", "", 0)
    frames = pandas.read_parquet(tmp_path / "all.parquet"), pandas.read_csv(tmp_path / "all.csv")
    for frame in frames:
        assert list(frame.columns) == list(pandas.read_parquet(path_of(folder, "2026-11")).columns)
        assert frame["close"].tolist() == [row[4] for row in past.rows()]
    times = pandas.to_datetime(frames[1]["timestamp"])
    assert times.tolist() == frames[0]["timestamp"].tolist()
    assert list(tmp_path.glob(".*")) == []
    rows = list(csv.reader(StringIO(candles("--csv", "--count", "1")[0])))
    assert rows[1][1:] == [*map(str, past.rows()[-1][1:]), "", "", "", ""]


def test_longer_timeframes_are_made_of_what_is_there(past):
    found = as_json("--count", "20", timeframe="2h")
    assert len(found["candles"]) == 20
    assert found["complete"]
    days = as_json("--count", "30", timeframe="1d")
    assert len(days["candles"]) == 30
    assert days["source"] == "cache+history"


def test_nothing_is_missing_of_days_on_which_there_was_nothing_to_trade(past):
    past.store.write(Pair(BTC, H1), [], ((FIRST_TRADE_MS, past.first_ms),))
    _, errors, status = candles("--count", "8000", "--strict", timeframe="1d")  # since 2005
    assert (errors, status) == ("", 0)


def test_a_table_shows_the_newest(past):
    output, errors, _ = candles()
    assert "sandbox BTC-USD 1h" in output
    assert "20 candles of cache" in output
    assert errors == ""
    assert (
        "3,000 candles of cache+history, the newest 50 shown" in candles("--since", "2025-01-01")[0]
    )


def test_an_open_candle_is_shown_where_it_follows_alone(past):
    begin, newest = utc(past.first_ms), utc(past.open_ms - H1.ms)
    for outside in (
        ["--until", newest, "--count", "2"], ["--since", begin, "--count", "2"],
        ["--since", begin, "--until", newest], ["--until", utc(past.open_ms)],
    ):  # fmt: skip
        told = as_json("--live", *outside)
        assert told["candles"][-1][0] < past.open_ms
        assert "open" not in told
    for inside in (["--since", newest], ["--until", utc(past.open_ms + 1000), "--count", "2"]):
        assert as_json("--live", *inside)["open"][:6] == past.open_candle.row()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--since", "yesterday"], "--since is a time"),
        (["--since", "2024-01-02", "--until", "2024-01-01"], "is not after"),
        (["--count", "0"], "--count is 1 to"),
        (["--csv", "a", "--json"], "one of them"),
        (["--live", "--parquet", "a"], "closed candles alone"),
        (["--csv", ""], "--csv names no file"),
        (["--parquet", ""], "--parquet names no file"),
        (["--csv", "/"], "--csv: / is a folder"),
        (["--csv", "/nowhere/a.csv"], "there is no folder /nowhere"),
        (["--parquet", "/nowhere/a.parquet"], "there is no folder /nowhere"),
        (["--count", str(10**20)], "1 to "),
        (["--until", "0001-01-01", "--count", "2"], "before there was anything to trade"),
        (["--since", "9999-12-31"], "--since 9999-12-31 is not of this century"),
    ],
)
def test_what_is_typed_wrong_gets_one_line(past, arguments, said):
    with pytest.raises(UsageError, match=said) as error:
        candles(*arguments)
    assert "\n" not in str(error.value)


def test_what_is_no_file_is_written_to_and_never_replaced(past, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE, text=True)
    assert candles("--csv", str(pipe), "--count", "2") == ("", "", 0)
    assert len(reader.communicate(timeout=10)[0].splitlines()) == 3
    assert pipe.is_fifo()
    link, target = tmp_path / "link.csv", tmp_path / "target.csv"
    link.symlink_to(target)
    target.write_text("older")
    candles("--csv", str(link), "--count", "2")
    assert link.is_symlink()
    assert len(target.read_text().splitlines()) == 3


@pytest.mark.parametrize("option", ["--csv", "--parquet"])
def test_a_full_disk_is_one_line_and_leaves_what_was_there(past, tmp_path, monkeypatch, option):
    there = tmp_path / "there"
    there.write_text("older")
    monkeypatch.setattr(CsvWriter, "write", full)
    monkeypatch.setattr(ParquetWriter, "write", full)
    with pytest.raises(CommandError, match="there can't be written: No space left") as error:
        candles(option, str(there))
    assert "\n" not in str(error.value)
    assert there.read_text() == "older"
    assert list(tmp_path.glob(".*")) == []


def full(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
