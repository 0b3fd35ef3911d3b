"""What an assistant is told by `livermore-mcp`, asked by the official client over its pipes."""

import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from redis import Redis
from stored import HOUR_MS, OPEN_MS, leave_out, row, say_streamed

from livermore_reader import Reader
from livermore_reader.times import utc

if TYPE_CHECKING:  # else each process that reads all tests takes a second for it
    from mcp import Client, StdioServerParameters
    from mcp.types import CallToolResult, Tool

Ask = Callable[..., str]
ONE = {"exchange": "sandbox", "symbol": "BTC-USD", "timeframe": "1h"}
RUN = "import sys; from livermore_reader.mcp import main; sys.exit(main())"
PACKAGE = str(Path(sys.modules["livermore_reader"].__file__ or "").parents[1])


class Assistant:
    """A client of a process of its own, which one test after the other asks."""

    def __init__(self, portal: BlockingPortal, client: "Client"):
        self._portal, self._client = portal, client

    def tools(self) -> "tuple[list[Tool], str | None]":
        return self._portal.call(self._client.list_tools).tools, self._client.instructions

    def call(self, name: str, **arguments: Any) -> "CallToolResult":
        return self._portal.call(self._client.call_tool, name, arguments)


@contextmanager
def assistant_of(socket: str) -> "Iterator[Assistant]":
    from mcp import Client

    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(Client(server_of(socket))) as client,
    ):
        yield Assistant(portal, client)


def server_of(socket: str) -> "StdioServerParameters":
    from mcp import StdioServerParameters

    return StdioServerParameters(
        command=sys.executable, args=["-c", RUN, socket], env={"PYTHONPATH": PACKAGE}
    )


def text(result: "CallToolResult") -> str:
    (block,) = result.content
    assert block.type == "text"
    return block.text


@pytest.fixture(scope="module")
def one_for_all(socket: str) -> "Iterator[Assistant]":
    with assistant_of(socket) as assistant:
        yield assistant


@pytest.fixture
def assistant(kept: Redis, one_for_all: Assistant) -> Assistant:
    return one_for_all


@pytest.fixture
def ask(assistant: Assistant) -> Ask:
    def asked(name: str, **arguments: Any) -> str:
        result = assistant.call(name, **arguments)
        assert not result.is_error, text(result)
        return text(result)

    return asked


def test_five_tools_are_offered_that_only_read(assistant: Assistant) -> None:
    tools, instructions = assistant.tools()
    assert [each.name for each in tools] == ["pairs", "candles", "macd_v", "missing", "status"]
    assert all(each.annotations.read_only_hint for each in tools)
    assert all(each.input_schema["additionalProperties"] is False for each in tools)
    assert "INCOMPLETE, STALE or UNAVAILABLE, say so" in instructions


def test_candles_say_first_that_they_are_complete_how_old_and_from_where(ask: Ask) -> None:
    said = ask("candles", **ONE, count=2).splitlines()
    assert said[0].startswith("COMPLETE: no closed candle of what was asked for is missing.")
    assert re.search(r"^Age: the newest closed candle .* ended \d+\.\d s ago, at ", said[1])
    assert utc(OPEN_MS) in said[1]
    assert said[2].startswith("Source: Livermore's cache")
    assert said[-3:] == [
        "timestamp,open,high,low,close,volume",
        f"{utc(OPEN_MS - 2 * HOUR_MS)},100.5,102.25,99.125,480099.0,0.125",
        f"{utc(OPEN_MS - HOUR_MS)},100.5,102.25,99.125,480100.0,0.125",
    ]


def test_a_hole_is_said_first_and_where_it_is(ask: Ask, kept: Redis) -> None:
    at = leave_out(kept, 2)
    said = ask("candles", **ONE, count=3).splitlines()
    hole = f"1 from {utc(at)} to {utc(at + HOUR_MS)}"
    assert said[0].startswith("INCOMPLETE, DO NOT RELY ON IT: 1 candles are missing")
    assert hole in said[0]
    assert said[-2] == f"# MISSING: {hole}"


def test_stale_candles_are_said_to_be(ask: Ask, kept: Redis) -> None:
    leave_out(kept, 1)
    assert ask("candles", **ONE).startswith("STALE AND INCOMPLETE, DO NOT RELY ON IT")


def test_an_exchange_that_is_not_streamed_ages(ask: Ask, kept: Redis) -> None:
    say_streamed(kept, OPEN_MS + 3 * HOUR_MS)
    said = ask("candles", **ONE)
    assert said.startswith("STALE AND INCOMPLETE, DO NOT RELY ON IT")
    assert "ended 3 h ago" in said


def test_the_open_candle_is_only_told_where_asked_for_and_called_open(
    ask: Ask, kept: Redis
) -> None:
    kept.set("candle:live:4:BTC-USD:1h", json.dumps([OPEN_MS, 1.5, 2.5, 1.25, 2.25, 0.5]))
    assert utc(OPEN_MS) + ",1.5" not in ask("candles", **ONE, count=2)
    said = ask("candles", **ONE, count=2, live=True).splitlines()
    assert said[-2] == "# The next candle is OPEN: it changes until it closes."
    assert said[-1] == f"{utc(OPEN_MS)},1.5,2.5,1.25,2.25,0.5"


def test_missing_names_each_pair_that_lacks_candles(ask: Ask, kept: Redis) -> None:
    at = leave_out(kept, 5)
    said = ask("missing", exchange="sandbox", timeframes=["1h"]).splitlines()
    assert said[0] == (
        "INCOMPLETE, DO NOT RELY ON THESE: 1 of 2 pairs lack some of their newest 100 closed "
        "candles; 0 of them are STALE."
    )
    assert said[1].startswith("Source: Livermore's cache")
    assert said[2].startswith("Age of 1h: the oldest of the newest closes was")
    assert said[-1] == f"BTC-USD 1h: missing 1 from {utc(at)} to {utc(at + HOUR_MS)}"


def test_where_nothing_is_missing_that_is_said(ask: Ask) -> None:
    said = ask("missing", exchange="sandbox", symbols="BTCUSD, ETH-USD", timeframes="1h")
    assert said.startswith("COMPLETE: none of the newest 100 closed candles is missing in 2 pairs.")


def test_a_value_on_an_old_candle_is_not_current(ask: Ask, kept: Redis) -> None:
    for symbol, bars_ago in (("BTC-USD", 1), ("ETH-USD", 2)):
        value = {
            "timestamp": OPEN_MS - bars_ago * HOUR_MS,
            "value": 27.5,
            "signal": 11.25,
            "histogram": 16.25,
            "stage": "rebounding",
            "coverageComplete": True,
        }
        kept.set(f"indicator:4:{symbol}:1h:macd-v", json.dumps(value))
    said = ask("macd_v", exchange="sandbox", timeframes=["1h"]).splitlines()
    assert said[0].startswith("INCOMPLETE: 1 of 2 values are NOT current")
    assert said[1].startswith("Age: beside each value")
    assert said[2].startswith("Source: computed by Livermore")
    assert said[-2].startswith(f"BTC-USD,1h,yes,{utc(OPEN_MS - HOUR_MS)},")
    assert said[-1].startswith(f"ETH-USD,1h,NO,{utc(OPEN_MS - 2 * HOUR_MS)},61 min ago,27.5,11.25")


def test_status_says_which_pairs_are_stale(ask: Ask, kept: Redis) -> None:
    said = ask("status", exchange="sandbox").splitlines()
    assert said[0].startswith("STALE, DO NOT RELY ON THESE: 10 of 12 pairs lack their newest")
    assert "BTC-USD 1h" not in said[0]  # the one timeframe that is kept here
    assert said[1].startswith("sandbox is streamed live now. Age:")
    assert said[-1].startswith("Source: ")


def test_status_says_that_nothing_new_comes(ask: Ask, kept: Redis) -> None:
    kept.delete("exchange:4:status")
    said = ask("status", exchange="sandbox")
    assert said.startswith("STALE, DO NOT RELY ON THESE: 12 of 12 pairs")
    assert "sandbox is NOT streamed now: nothing new comes" in said


def test_status_says_where_nobody_can_tell_what_time_it_is(kept: Redis, socket: str) -> None:
    kept.delete("exchange:4:status")
    ahead = round(1000 * time.time()) // HOUR_MS * HOUR_MS + 48 * HOUR_MS
    kept.zadd("candles:4:BTC-USD:1h", {json.dumps(row(ahead)): ahead})
    kept.set("coverage:4:BTC-USD:1h", json.dumps([[ahead, ahead + HOUR_MS]]))
    with assistant_of(socket) as newcomer:  # who knew the time once goes on with its own clock
        said = text(newcomer.call("status", exchange="sandbox"))
    assert said.startswith("UNKNOWN WHETHER COMPLETE, DO NOT RELY ON IT: ")
    assert "sandbox is NOT streamed now: nothing new comes" in said


def test_pairs_tell_all_exchanges_and_that_nothing_was_looked_at(ask: Ask) -> None:
    said = ask("pairs")
    assert said.startswith("Completeness: not looked at here; ask `missing`")
    assert "Source: Livermore's list" in said
    assert "sandbox is streamed live now. Age:" in said
    assert "2 symbols: BTC-USD ETH-USD" in said


def test_nothing_is_called_complete_where_nothing_is_kept(ask: Ask, kept: Redis) -> None:
    told = {"id": 5, "displayName": "Other", "venue": "binance", "lagMs": 0, "symbols": []}
    kept.hset("exchanges", "other", json.dumps(told))
    for tool in ("status", "macd_v", "missing"):
        assert ask(tool, exchange="other").startswith("NOTHING IS KNOWN: no pair of that is kept.")


WRONG: "list[tuple[str, dict[str, Any], str]]" = [
    ("candles", {**ONE, "symbol": "BTC-USDD"}, "similar are BTC-USD"),
    ("candles", {**ONE, "timeframe": "7m"}, "'7m' is no timeframe"),
    ("candles", {**ONE, "exchange": "sandbocks"}, "known: sandbox"),
    ("candles", {**ONE, "start": "yesterday"}, "'yesterday' is no time"),
    ("candles", {**ONE, "count": "many"}, "count has to be a whole number, 1 or more, not 'many'"),
    ("candles", {**ONE, "cuont": 5}, "there is no argument 'cuont'; did you mean count?"),
    ("candles", {"exchange": "sandbox"}, "symbol is missing"),
    ("missing", {"exchange": "sandbox", "count": 5000}, "count is at most 1000"),
    ("missing", {"exchange": "sandbox", "timeframes": ["7m"]}, "'7m'"),
    ("macd_v", {"exchange": "sandbox", "timeframes": [1]}, "has to be a list of names"),
    ("delete", {}, "there is no tool 'delete'; known: pairs, candles"),
]


def test_what_is_asked_wrongly_gets_one_line(assistant: Assistant) -> None:
    for name, wrong, said in WRONG:
        result = assistant.call(name, **wrong)
        assert result.is_error
        assert text(result).startswith("WRONG REQUEST: ")
        assert said in text(result)
        assert "\n" not in text(result)


def test_more_than_is_kept_is_an_error_that_says_so(assistant: Assistant) -> None:
    result = assistant.call("candles", **ONE, start=utc(OPEN_MS - 2000 * HOUR_MS))
    assert result.is_error
    assert text(result).startswith("INCOMPLETE, nothing is handed out: ")


def test_without_redis_it_says_that_nothing_is_known_and_no_password() -> None:
    with assistant_of("redis://:secret@127.0.0.1:1/0") as assistant:
        result = assistant.call("status", exchange="sandbox")
    assert result.is_error
    assert text(result).startswith("UNAVAILABLE: ")
    assert "secret" not in text(result)


def test_a_fault_of_its_own_tells_no_more_than_its_kind() -> None:
    class Faulty:
        def exchanges(self) -> None:
            raise RuntimeError("secret")

    from livermore_reader.mcp.server import answer

    result = answer(cast(Reader, Faulty()), "pairs", {})
    assert result.is_error
    assert text(result) == "UNAVAILABLE: a fault of livermore-mcp, RuntimeError"
