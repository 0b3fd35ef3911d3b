"""What Bybit says, in files: written by us in the shapes that its documents and users show."""

from pathlib import Path

import orjson

FOLDER = Path(__file__).parent.parent / "payloads/bybit"


def recorded(name):
    """Return a file, whole."""
    return (FOLDER / f"{name}.json").read_bytes()


def content_of(name):
    """Return what is in a file."""
    return orjson.loads(recorded(name))
