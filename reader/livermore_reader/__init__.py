"""Complete, typed, honest candles from Livermore's cache. It imports nothing of Livermore."""

import os
from importlib import import_module

from livermore_reader.address import is_http, parse, usual
from livermore_reader.candles import Candles
from livermore_reader.client import Reader
from livermore_reader.errors import (
    BadRequest,
    Gap,
    Incomplete,
    Missing,
    MissingCandles,
    ReaderError,
    Stale,
    Unavailable,
)
from livermore_reader.following.closes import Heartbeat
from livermore_reader.sources.source import Close

HISTORY = "LIVERMORE_HISTORY"
__version__ = "0.1.0"
__all__ = [
    "BadRequest",
    "Candles",
    "Close",
    "Gap",
    "Heartbeat",
    "Incomplete",
    "Missing",
    "MissingCandles",
    "Reader",
    "ReaderError",
    "Stale",
    "Unavailable",
    "connect",
]


def connect(
    url: "str | os.PathLike[str] | None" = None,
    token: str | None = None,
    prefix: str | None = None,
    history: "str | os.PathLike[str] | None" = None,
) -> Reader:
    """Return a reader of a Redis, by its URL or socket, or of `serve` by its http address.

    Where none is given: LIVERMORE_URL, REDIS_URL, or the Redis that `./run` has started in this
    folder. `prefix` is what stands before the names of keys, where it can't be found. `history` is
    the folder, or the `s3://` bucket, whose files have what a Redis lacks; where none is given,
    LIVERMORE_HISTORY, else there is none. `serve` reads it itself. Nothing is asked yet. Raises
    BadRequest.
    """
    where = usual() if url is None else _text_of("url", os.fspath(url) if _is_path(url) else url)
    for name, given in (("token", token), ("prefix", prefix)):
        if given is not None:
            _text_of(name, given)
    if is_http(where):
        if history is not None:
            raise BadRequest("history is for who reads a Redis: `serve` reads its own")
        http = import_module("livermore_reader.sources.http.source")
        return Reader(http.HttpSource(where, token))
    from livermore_reader.sources.files.months import HistoryFiles
    from livermore_reader.sources.files.places import is_readable_bucket
    from livermore_reader.sources.redis.source import RedisSource

    files: HistoryFiles | None = None
    if history is not None:
        files = HistoryFiles(history if _is_path(history) else _text_of("history", history))
        if not files.is_there:
            raise BadRequest(f"history: there is no folder {files}")
    else:  # a folder may come later, and a bucket may be meant for others, who have its keys
        named = os.environ.get(HISTORY, "").strip()
        if named and ("://" not in named or is_readable_bucket(named)):
            files = HistoryFiles(named)
    return Reader(RedisSource(parse(where), prefix, files))


def _is_path(given: object) -> bool:
    return isinstance(given, os.PathLike)


def _text_of(name: str, given: object) -> str:
    """Return what was given as a text, which is not repeated. Raises BadRequest."""
    if not isinstance(given, str) or (name == "history" and not given.strip()):
        raise BadRequest(f"{name} has to be a text that is not empty, or is to be left out")
    return given
