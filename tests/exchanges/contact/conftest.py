"""A first contact with a sandbox whose time goes forty times as fast as ours."""

from contextlib import closing

import pytest

from exchanges.adapters import rest_of, stream_of
from exchanges.contact.contact import Contact
from exchanges.symbols.volumes import ask_volumes, names_of
from tests.warmup.runners import MIDNIGHT_MS, make_row, serve

HALF_A_DAY_MS = 43_200_000


@pytest.fixture(scope="module")
def shared():
    """Serve a market with quiet symbols, at noon."""
    from exchanges.sandbox.symbols import DEFAULT

    with serve(start_ms=MIDNIGHT_MS - HALF_A_DAY_MS, listings=DEFAULT, speed=40) as server:
        yield server


@pytest.fixture
def sandbox(shared):
    shared.reset()
    yield shared
    shared.reset()


@pytest.fixture
def contact(db, redis, sandbox):
    """Return what makes contact with the sandbox as the exchange of that name."""
    opened = []

    def contact(name, symbol="BTC-USD", minutes=0.1):
        row = make_row(sandbox, name)
        names = dict(row.symbols.values_list("symbol", "native_symbol"))
        rest = rest_of(row, redis, names)
        opened.append(rest)
        volumes = ask_volumes(redis, row, rest, names_of(row)).by_symbol
        listed = rest.list_symbols()
        aliases = {each.symbol: each.alias for each in listed if each.alias}
        return Contact(rest, stream_of(row, names, aliases), symbol, listed, volumes, minutes)

    yield contact
    for rest in opened:
        with closing(rest):
            pass
