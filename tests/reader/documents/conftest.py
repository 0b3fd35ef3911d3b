"""Exchanges that a recipe finds by itself, as it finds those of `./run`."""

import pytest

from tests.conftest import SERVER
from tests.reader.documents.streamed import streamed


@pytest.fixture
def exchange(redis, transactional_db, monkeypatch):
    """A sandbox that is streamed in real time."""
    monkeypatch.setenv("LIVERMORE_URL", SERVER.url)
    with streamed(redis, speed=1) as found:
        yield found


@pytest.fixture
def hurried(redis, transactional_db, monkeypatch):
    """A sandbox that is streamed, whose minutes take half a second."""
    monkeypatch.setenv("LIVERMORE_URL", SERVER.url)
    with streamed(redis) as found:
        yield found
