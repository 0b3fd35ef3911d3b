"""`livermore-mcp` on `serve` with a token, asked by the official client over its pipes."""

import asyncio
import sys

import livermore_reader
import pytest

from serving.models import ApiClient
from tests.serving.conftest import Filled, FixedDirectory, fail, say_streamed
from tests.serving.serving import served

RUN = "import sys; from livermore_reader.mcp import main; sys.exit(main())"
ONE = {"exchange": "sandbox", "symbol": "BTC-USD", "timeframe": "1h", "count": 5}
CALLS = {
    "candles": ONE,
    "missing": {"exchange": "sandbox", "symbols": ["BTC-USD"], "timeframes": ["1h", "2h"]},
    "macd_v": {"exchange": "sandbox", "symbols": ["BTC-USD"], "timeframes": ["1h"]},
    "pairs": {},
    "status": {"exchange": "sandbox"},
}


def answers(url, token, calls, folder):
    """Return what a process of its own answers to calls of these tools, as text by their names."""
    # Each process reads all tests, and this takes a second.
    from mcp import Client, StdioServerParameters

    environment = {"PYTHONPATH": folder} | ({"LIVERMORE_TOKEN": token} if token else {})
    server = StdioServerParameters(command=sys.executable, args=["-c", RUN, url], env=environment)

    async def talk():
        async with Client(server) as client:
            return {name: await client.call_tool(name, calls[name]) for name in calls}

    found = asyncio.run(asyncio.wait_for(talk(), 60))
    return {name: (each.is_error, each.content[0].text) for name, each in found.items()}


@pytest.fixture
def nobody_fetches(monkeypatch):
    monkeypatch.setattr("serving.fetching.fetches.fetch_holes", fail)
    monkeypatch.delattr("serving.fetching.stretches.fetch_once")


@pytest.mark.django_db(transaction=True)
def test_all_tools_answer_who_has_the_token_and_nobody_else(redis, nobody_fetches):
    client = ApiClient(name="assistant")
    token = client.new_token()
    client.save()
    past = Filled(redis)
    say_streamed(redis)
    folder = livermore_reader.__path__[0].removesuffix("/livermore_reader")
    with served(redis, directory=FixedDirectory(), is_open=False) as url:
        said = answers(url, token, CALLS, folder)
        refused = answers(url, None, {"candles": ONE}, folder)
    assert not any(is_error for is_error, _ in said.values()), said
    text = {name: each for name, (_, each) in said.items()}
    assert text["candles"].startswith("COMPLETE: ")
    assert text["candles"].splitlines()[-1].endswith(f",{past.candles[-1].close},0.125")
    assert "in 2 pairs" in text["missing"]
    assert "BTC-USD,1h,NO," in text["macd_v"]
    assert "sandbox is streamed live now" in text["pairs"]
    assert "sandbox is streamed live now" in text["status"]
    assert token not in str(said)
    is_error, line = refused["candles"]
    assert is_error and line.startswith("WRONG REQUEST: ") and "lets nobody in" in line
