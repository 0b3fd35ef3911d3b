"""Streamers of sandboxes and of scripted servers, whose timeouts are short."""

from contextlib import ExitStack
from dataclasses import replace

import pytest

from exchanges.sandbox.server.config import SandboxConfig
from exchanges.sandbox.server.server import SandboxServer
from exchanges.stream import connection as connection_module
from exchanges.stream import streamer as streamer_module
from exchanges.stream.streamer import Streamer
from exchanges.transport import backoff
from exchanges.venues.binance.stream import BinanceStream
from exchanges.venues.coinbase.stream import CoinbaseStream
from tests.exchanges.stream.streamer.noted import BTC, ETH, NOW_MS, SOL, Notes


@pytest.fixture(autouse=True)
def prompt(monkeypatch):
    """Let everything that is a matter of timeouts alone happen at once."""
    monkeypatch.setattr(connection_module, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(streamer_module, "PUMP_SECONDS", 0.005)
    monkeypatch.setattr(backoff, "FIRST_RECONNECT_SECONDS", 0.05)


@pytest.fixture
def sandbox():
    """Start exchanges whose time stands still unless it is moved."""
    with ExitStack() as running:

        def start(**settings):
            settings = {"start_ms": NOW_MS, "speed": 0} | settings
            return running.enter_context(SandboxServer(SandboxConfig(**settings)))

        yield start


@pytest.fixture
def stream():
    """Start streamers, and stop them after the test."""
    running = []

    def start(venue, url, symbols, names=(BTC, ETH, SOL), sink=None, **limits):
        native = {name: name.replace("-", "") for name in names}
        venue_stream = venue(url, native if venue is BinanceStream else dict.fromkeys(names))
        if venue is CoinbaseStream:
            venue_stream = venue(url, {name: name for name in names})
        quick = {"seconds_between_connects": 0.0} | limits
        venue_stream.limits = replace(venue.limits, **quick)
        notes = sink or Notes()
        streamer = Streamer(venue_stream, notes)
        running.append(streamer)
        streamer.start(symbols)
        return streamer, notes

    yield start
    for streamer in running:
        streamer.stop()
