"""Candles as a stream of Arrow, for those who have pyarrow: it is large, and no requirement."""

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from livermore.market.columns import COLUMNS as MORE_COLUMNS
from serving.native.schemas import COLUMNS

METADATA = b"livermore"
NOT_INSTALLED = (
    "Arrow needs pyarrow, which is not installed where this is served: "
    "pip install -r requirements-arrow.txt there, or accept application/json"
)


def library() -> Any:
    """Return pyarrow, None where it isn't installed. The first time takes a while."""
    try:
        return importlib.import_module("pyarrow")
    except ImportError:
        return None


def stream(pyarrow: Any, rows: Sequence[Sequence[Any]], said: Mapping[str, Any]) -> bytes:
    """Return rows of ten as a stream, with what is said of them in the schema's metadata."""
    kinds = {
        "timestamp": pyarrow.timestamp("ms", tz="UTC"),
        "trades": pyarrow.int64(),
    }
    fields = [
        pyarrow.field(name, kinds.get(name, pyarrow.float64()), nullable=name in MORE_COLUMNS)
        for name in COLUMNS
    ]
    schema = pyarrow.schema(fields, metadata={METADATA: orjson.dumps(said)})
    columns = list(zip(*rows, strict=True)) or [()] * len(COLUMNS)
    arrays = [
        pyarrow.array(values, type=each.type) for values, each in zip(columns, fields, strict=True)
    ]
    sink = pyarrow.BufferOutputStream()
    with pyarrow.ipc.new_stream(sink, schema) as writer:
        writer.write_batch(pyarrow.record_batch(arrays, schema=schema))
    return sink.getvalue().to_pybytes()
