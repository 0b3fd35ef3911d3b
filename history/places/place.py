"""What the store wants of a place, and which one `LIVERMORE_HISTORY` names."""

import re
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Protocol

from django.conf import settings

from exchanges.errors import Misconfigured
from history.places.folder import Folder
from history.places.s3 import SCHEME, Bucket, read_address

DAMAGED = "damaged"  # the folder into which files go that are not what was written
ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")  # also such as s3:/bucket, which misses a slash


class Place(Protocol):
    """Files by their path. What can't be done raises Temporary, with a line that says why."""

    def id(self) -> str:
        """Return what tells this place from all others, also under another address."""

    def read(self, path: str) -> bytes | None:
        """Return a file's content, None where there is none."""

    def write(self, path: str, content: bytes) -> None:
        """Put a file in place of what is there, whole."""

    def move(self, path: str, to: str) -> None:
        """Give a file another path; nothing where there is none."""

    def paths(self, below: str = "") -> Iterator[str]:
        """Yield the path of each file, or of those below a path; not what is half written."""

    def clear_drafts(self, below: str) -> int:
        """Delete what was half written below a path when its writer died; return how many."""


def set_aside(place: Place, path: str) -> None:
    """Move a file into the folder `damaged`, over nothing that was put there before."""
    to = f"{DAMAGED}/{path}"
    taken = (f"{DAMAGED}/{path}.{number}" for number in count(2))
    while place.read(to) is not None:
        to = next(taken)
    place.move(path, to)


def configured_place() -> Place:
    """Return where `LIVERMORE_HISTORY` says that history is kept.

    Raises Misconfigured where it can't be used.
    """
    named = settings.HISTORY
    if named.lower().startswith(f"{SCHEME}://"):
        return Bucket(read_address(named))
    if ADDRESS.match(named):
        raise Misconfigured(
            "LIVERMORE_HISTORY names neither a folder nor a bucket",
            "write a path, or s3://bucket/prefix",
        )
    try:
        return Folder(Path(named).expanduser())
    except RuntimeError:
        raise Misconfigured(
            "LIVERMORE_HISTORY names the home of nobody", "write the whole path"
        ) from None
