"""A folder of this machine, or one that several share."""

import os
import re
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from exchanges.errors import Misconfigured, Temporary

ID_FILE = "store-id"  # tells one folder from another of the same name on another machine
ID = re.compile(r"[0-9a-f]{32}\s*")
DRAFT = re.compile(r"\..+\.[0-9a-f]{32}")  # a file that is being written


class Folder:
    """Files by their path, with slashes, below a folder; each is written whole or not at all."""

    def __init__(self, path: Path):
        self._path = path

    def __str__(self) -> str:
        return str(self._path)

    def id(self) -> str:
        """Return what tells this folder from all others; it is made at the first call."""
        with self._faults():
            self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = self._path / ID_FILE
            if not file.exists():
                draft = file.with_name(f"{ID_FILE}.{uuid.uuid4().hex}")
                draft.write_text(uuid.uuid4().hex)
                with suppress(FileExistsError):  # another process was faster
                    os.link(draft, file)
                draft.unlink()
            found = file.read_bytes().decode("ascii", "replace")
        if not ID.fullmatch(found):
            raise Misconfigured(f"{file} does not hold 32 hex digits", "put back what it held")
        return found.strip()

    def read(self, path: str) -> bytes | None:
        """Return a file's content, None where there is none; nothing is in what is a folder."""
        with self._faults():
            try:
                return (self._path / path).read_bytes()
            except FileNotFoundError:
                return None
            except IsADirectoryError:
                return b""

    def write(self, path: str, content: bytes) -> None:
        """Put a file in place of what is there; who reads meanwhile has the one or the other."""
        file = self._path / path
        draft = file.with_name(f".{file.name}.{uuid.uuid4().hex}")
        with self._faults():
            file.parent.mkdir(parents=True, exist_ok=True)
            try:
                with draft.open("wb") as opened:
                    opened.write(content)
                    opened.flush()
                    os.fsync(opened.fileno())
                draft.replace(file)
            except BaseException:
                draft.unlink(missing_ok=True)
                raise
            _sync(file.parent)

    def move(self, path: str, to: str) -> None:
        """Give a file another path; nothing where there is none."""
        with self._faults(), suppress(FileNotFoundError):
            (self._path / to).parent.mkdir(parents=True, exist_ok=True)
            (self._path / path).replace(self._path / to)

    def paths(self, below: str = "") -> Iterator[str]:
        """Yield the path of each file, or of those below a path; not what is half written."""
        with self._faults():
            for file in sorted((self._path / below).rglob("*")):
                is_own = file.name == ID_FILE or DRAFT.fullmatch(file.name)
                if not is_own and file.is_file():
                    yield file.relative_to(self._path).as_posix()

    def clear_drafts(self, below: str) -> int:
        """Delete what was half written below a path when its writer died; return how many."""
        with self._faults():
            drafts = [
                file for file in (self._path / below).rglob(".*") if DRAFT.fullmatch(file.name)
            ]
            for file in drafts:
                file.unlink(missing_ok=True)
        return len(drafts)

    def _faults(self):
        return _Faults(self)


class _Faults:
    """Turns what the system says of a folder into one line."""

    def __init__(self, folder: Folder):
        self._folder = folder

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind, error, _trace) -> None:
        if isinstance(error, OSError):
            raise Temporary(
                f"history can't be kept in {self._folder}: {error.strerror or error}"
            ) from error


def _sync(folder: Path) -> None:
    """Let the name of a file that was put into a folder survive a crash of the machine."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
