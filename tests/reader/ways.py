"""The ways by which a reader reads the same: from Redis itself, and from serve."""

from contextlib import ExitStack, contextmanager

import livermore_reader

from tests.conftest import SERVER
from tests.serving.serving import served

WAYS = ("redis", "http")


@contextmanager
def reader_by(way, redis, url=None, port=0, **options):
    """Read by one of `WAYS`; `url` is that of the Redis."""
    with ExitStack() as opened:
        address = url or SERVER.url
        if way == "http":
            address = opened.enter_context(served(redis, url, port=port, **options))
        yield opened.enter_context(livermore_reader.connect(address))
