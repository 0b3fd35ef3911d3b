"""The recipes of docs/reading.md, as they stand there, against a sandbox that is streamed."""

import json
import os
import re
import shlex
import subprocess
import sys
from types import SimpleNamespace

import pandas
import polars
import pytest

from livermore.market import keys
from livermore.market.timeframe import Timeframe
from tests.fixtures.ports import free_port
from tests.reader.documents.streamed import as_rows, truth
from tests.warmup.runners import ROOT, SYMBOLS, events_of, wait_until

TEXT = (ROOT / "docs/reading.md").read_text()
README = (ROOT / "README.md").read_text()
NUMBER = 4  # of the sandbox, in the document
SIX = ["timestamp", "open", "high", "low", "close", "volume"]


def blocks(heading, language="python", text=TEXT):
    """Return the blocks in a language below a heading, up to the next one."""
    section = re.split(rf"^#+ {re.escape(heading)}$", text, flags=re.M)[1]
    section = re.split(r"^#+ ", section, maxsplit=1, flags=re.M)[0]
    return re.findall(rf"^```{language}\n(.*?)^```$", section, re.M | re.S)


def run(code):
    """Run a recipe to its end; return what it has named."""
    names = {"__name__": "__main__"}
    exec(code, names)
    return names


@pytest.mark.parametrize(
    "place",
    [("Reading candles",), ("Reading the candles", "python", README)],
    ids=["reading", "README"],
)
def test_three_lines_give_a_frame_of_the_exchanges_own_candles(either, place):
    (code,) = blocks(*place)
    frame = run(code)["df"]
    assert list(frame.columns) == SIX[1:] and {*map(str, frame.dtypes)} == {"float64"}
    assert str(frame.index.tz) == "UTC" and frame.index.name == "timestamp"
    rows = as_rows(frame)
    assert len(rows) == 100 and rows == truth(either, "BTC-USD", "1h", [each[0] for each in rows])


def test_what_is_fresh_and_complete_is_told_from_what_is_not(exchange, capsys, monkeypatch):
    code, _ = blocks("Is it fresh and complete?")

    def told():
        run(code)
        return capsys.readouterr().out.splitlines()[-1].split(":")[0]

    wait_until(lambda: told() == "fresh and complete")
    name = keys.coverage(exchange.row.pk, "BTC-USD", "1m")
    ((since, until), *_) = json.loads(exchange.redis.get(name))
    hole = until - 20 * 60_000
    exchange.redis.set(name, json.dumps([[since, hole], [hole + 60_000, until]]))
    assert told() == "incomplete"
    exchange.redis.set(name, json.dumps([[since, hole]]))
    assert told() == "stale"
    monkeypatch.setenv("LIVERMORE_URL", f"redis://127.0.0.1:{free_port()}")
    assert told() == "away"


def test_those_that_are_stale_are_told_of_many(exchange, capsys):
    _, code = blocks("Is it fresh and complete?")

    def told():
        run(code)
        return capsys.readouterr().out.splitlines()

    wait_until(lambda: told() == ["0 of 6 pairs are stale"])
    name = keys.coverage(exchange.row.pk, "ETH-USD", "1h")
    ((since, until), *_) = json.loads(exchange.redis.get(name))
    exchange.redis.set(name, json.dumps([[since, until - 3_600_000]]))
    first, second = told()
    assert first == "1 of 6 pairs are stale" and second.startswith("ETH-USD 1h ")


def test_every_field_that_the_document_names_is_told(exchange):
    (table,) = re.findall(r"^\| field \| what it says.*?\n\n", TEXT, re.M | re.S)
    (code,) = blocks("Reading candles")
    named = {*re.findall(r"^\| `(\w+)`", table, re.M)}
    assert run(code)["df"].attrs["livermore"].keys() == named | {"exchange", "symbol", "timeframe"}


def test_a_panel_has_each_symbols_own_closes(exchange):
    code, _ = blocks("Many symbols in one frame")
    found = run(code)
    frame = found["close"]
    assert list(frame.columns) == SYMBOLS
    times = [int(each.timestamp() * 1000) for each in frame.index]
    for symbol in SYMBOLS:
        assert list(frame[symbol]) == [row[4] for row in truth(exchange, symbol, "1h", times)]
    assert len(times) == 100 and not found["returns"].iloc[1:].isna().any(axis=None)


def test_vectorbt_takes_a_panel(exchange, capsys):
    pytest.importorskip("vectorbt", reason="it takes two minutes to install")
    _, code = blocks("Many symbols in one frame")
    run(code)
    printed = capsys.readouterr().out
    assert all(symbol in printed for symbol in SYMBOLS)


def test_polars_and_arrow_have_the_exchanges_own_candles(exchange):
    (code,) = blocks("polars and Arrow")
    found = run(code)
    rows = [
        list(each)
        for each in found["df"].with_columns(polars.col("timestamp").dt.epoch("ms")).rows()
    ]
    assert len(rows) == 96
    assert rows == truth(exchange, "BTC-USD", "15m", [each[0] for each in rows])
    assert found["days"]["volume"].sum() == pytest.approx(sum(row[5] for row in rows))


def test_a_strategy_has_candles_of_another_pair_beside_its_own(exchange, monkeypatch):
    class Strategy:
        pass

    def merge(dataframe, informative, timeframe, informative_timeframe, ffill):
        assert (timeframe, informative_timeframe, ffill) == ("5m", "1h", True)
        assert str(informative["date"].dt.tz) == "UTC"
        known_at = informative["date"] + pandas.Timedelta("1h") - pandas.Timedelta("5m")
        named = informative.assign(date=known_at).add_suffix("_1h")
        return pandas.merge_asof(dataframe, named, left_on="date", right_on="date_1h")

    modules = {
        "freqtrade": SimpleNamespace(),
        "freqtrade.strategy": SimpleNamespace(IStrategy=Strategy, merge_informative_pair=merge),
    }
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    (code,) = blocks("freqtrade")
    found = run(code)
    own = found["lm"].candles("sandbox", "ETH-USD", "5m", 60).reset_index(names="date")
    strategy = found["BesideBitcoin"]()
    frame = strategy.populate_indicators(own, {"pair": "ETH/USD"})
    entered = strategy.populate_entry_trend(frame, {})["enter_long"] == 1
    left = strategy.populate_exit_trend(frame, {})["exit_long"] == 1
    assert len(frame) == 60 and not frame[["close_1h", "mean_1h"]].isna().any(axis=None)
    assert list(entered) == list(frame["close_1h"] > frame["mean_1h"])
    assert list(left) == list(frame["close_1h"] < frame["mean_1h"])


def of_this(exchange, command):
    return command.replace(f":{NUMBER}:", f":{exchange.row.pk}:")


def test_the_panel_of_grafana_makes_columns_of_what_redis_answers(exchange):
    (text,) = blocks("Grafana", "json")
    panel = json.loads(text)
    (target,) = panel["targets"]
    extract, convert = (each["options"] for each in panel["transformations"])
    answer = exchange.redis.execute_command(*shlex.split(of_this(exchange, target["query"])))
    # A query of the type cli makes a column of texts, called Value, of an array of Redis.
    column = {"Value": [each.decode() for each in answer]}[extract["source"]]
    frame = {
        each["alias"]: [json.loads(row)[int(each["path"])] for row in column]
        for each in extract["jsonPaths"]
    }
    assert [each["targetField"] for each in convert["conversions"]] == ["time"]
    rows = [list(each) for each in zip(*frame.values(), strict=True)]
    assert list(frame) == ["time", *SIX[1:]]
    assert len(rows) >= 100 and rows == truth(exchange, "BTC-USD", "1h", frame["time"])


def commands():
    (table,) = re.findall(r"^\| what \| command \|.*?\n\n", TEXT, re.M | re.S)
    return re.findall(r"^\| [^|]* \| `([A-Z][^`]*)` \|", table, re.M)


def test_each_command_for_other_languages_is_answered(exchange):
    assert len(commands()) == 9
    hour = Timeframe.H1.floor(exchange.sandbox.clock.now_ms()) - Timeframe.H1.ms
    for command in commands():
        command = of_this(exchange, command)
        if "BYSCORE" in command:
            command = re.sub(
                r" \d{13} \(\d{13} ", f" {hour - 2 * Timeframe.H1.ms} ({hour} ", command
            )
        wait_until(lambda c=command: exchange.redis.execute_command(*shlex.split(c)), 90)
        if "BYSCORE" in command:
            assert len(exchange.redis.execute_command(*shlex.split(command))) == 2


@pytest.fixture
def program(tmp_path, pytestconfig):
    """Start a recipe as a program in a folder of its own, as often as it is called."""
    started = []
    path = os.pathsep.join([str(pytestconfig.rootpath / "reader"), *sys.path])

    def start(code):
        with (tmp_path / "said").open("ab") as said:
            process = subprocess.Popen(
                [sys.executable, "-c", code],
                cwd=tmp_path,
                env=os.environ | {"PYTHONPATH": path},
                stdout=said,
                stderr=said,
            )
        started.append(process)
        return process

    start.lines = lambda: (tmp_path / "said").read_text().splitlines()
    yield start
    for process in started:
        process.kill()
        process.wait()


def closes_of(exchange, timeframes, since=0):
    return [
        (event["symbol"], event["timeframe"], str(event["timestamp"]), str(event["close"]))
        for (_, timeframe), events in events_of(exchange.redis, exchange.row.pk).items()
        for event in events
        if timeframe in timeframes and event["timestamp"] >= since
    ]


def test_a_follower_that_is_killed_goes_on_where_it_was(hurried, program):
    code, _ = blocks("Following closes")
    process = program(code)
    wait_until(lambda: len(program.lines()) > 5)
    process.kill()
    process.wait()
    first = int(program.lines()[0].split()[2])
    told = hurried.redis.xlen(keys.events(hurried.row.pk))
    wait_until(lambda: hurried.redis.xlen(keys.events(hurried.row.pk)) > told + 6)
    program(code)
    due = {*closes_of(hurried, ("1m", "5m"), first + 60_000)}
    wait_until(lambda: due <= {tuple(line.split()) for line in program.lines()})
    lines = program.lines()
    assert len(lines) - len({*lines}) <= 1  # what it was killed with


def test_a_follower_with_asyncio_has_closes(hurried, program):
    _, code = blocks("Following closes")
    program(code)
    wait_until(lambda: len(program.lines()) >= 3)
    told = {(symbol, at, price) for symbol, _, at, price in closes_of(hurried, ("1m",))}
    assert {tuple(line.split()) for line in program.lines()} <= told
