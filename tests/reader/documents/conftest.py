"""Exchanges that a recipe finds by itself, as it finds those of `./run`."""

import pytest

from tests.conftest import SERVER
from tests.reader.documents.streamed import streamed
from tests.serving.serving import served


@pytest.fixture
def exchange(redis, transactional_db, monkeypatch):
    """A sandbox that is streamed in real time."""
    monkeypatch.setenv("LIVERMORE_URL", SERVER.url)
    with streamed(redis, speed=1) as found:
        yield found


@pytest.fixture(params=["by Redis", "by serve"])
def either(request, exchange, monkeypatch):
    """The same, found in Redis or at the address of `serve`."""
    if request.param == "by Redis":
        yield exchange
        return
    with served(exchange.redis) as url:
        monkeypatch.setenv("LIVERMORE_URL", url)
        yield exchange


@pytest.fixture
def hurried(redis, transactional_db, monkeypatch):
    """A sandbox that is streamed, whose minutes take half a second."""
    monkeypatch.setenv("LIVERMORE_URL", SERVER.url)
    with streamed(redis) as found:
        yield found
