"""Where files of history lie: a folder, or a bucket of a store that speaks S3."""

import os
import re
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn, Protocol
from urllib.parse import parse_qsl, urlsplit

from livermore_reader.columns import library
from livermore_reader.errors import BadRequest, Unavailable

SCHEME = "s3"
FORM = "history is in a folder, or in s3://bucket/prefix?endpoint=https://host&region=us-east-1"
KEY_ID, SECRET, TOKEN = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"
REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")
USUAL_REGION = "us-east-1"
CA_FILE = "AWS_CA_BUNDLE"
CONNECT_SECONDS, SILENT_SECONDS, ATTEMPTS = 5.0, 10.0, 3
BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
MOST_SAID = 200  # characters of what a store says

State = tuple[int, ...]  # of a file: another one where it was written anew


class Place(Protocol):
    """Files by their path, with slashes. Raises Unavailable where nobody can tell.

    `is_there` says whether it is, as far as that is known without being asked.
    """

    @property
    def is_there(self) -> bool: ...

    def names(self, folder: str) -> "list[str]":
        """Return the names of the files in a folder, in order; none where there is no such."""

    def has(self, folder: str) -> bool: ...

    def state(self, path: str) -> "State | None":
        """Return the state of a file, None where there is none."""

    def opened(self, path: str) -> Any:
        """Return a file to be read by pyarrow, None where there is none. Raises Missing."""


def place_at(where: "str | os.PathLike[str]") -> Place:
    """Return the place of a name. Raises BadRequest."""
    scheme, separator, _ = os.fspath(where).partition("://")
    if not separator:
        return Folder(Path(where).expanduser())
    if scheme.lower() != SCHEME:
        raise BadRequest(f"{FORM}; not at {scheme}://")
    return Bucket(os.fspath(where))


def is_readable_bucket(where: str) -> bool:
    """Tell whether that is a bucket, and the environment has keys for it."""
    is_bucket = where.lower().startswith(f"{SCHEME}://")
    return is_bucket and all(os.environ.get(name) for name in (KEY_ID, SECRET))


class Folder:
    """A folder of this machine. What can't be read is not there."""

    def __init__(self, path: Path):
        self._path = path

    @property
    def is_there(self) -> bool:
        return self._path.is_dir()

    def __str__(self) -> str:
        return str(self._path)

    def names(self, folder: str) -> "list[str]":
        try:
            return sorted(each.name for each in (self._path / folder).iterdir())
        except OSError:
            return []

    def has(self, folder: str) -> bool:
        return (self._path / folder).is_dir()

    def state(self, path: str) -> "State | None":
        try:
            found = (self._path / path).stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def opened(self, path: str) -> Any:
        try:
            return library("pyarrow").OSFile(str(self._path / path))
        except OSError:
            return None


class Bucket:
    """Objects below a prefix; the environment has the key, as Livermore itself wants it."""

    is_there = True

    def __init__(self, url: str):
        """Raises BadRequest, whose line repeats nothing that may be a secret."""
        parts = urlsplit(url)
        self._options = dict(parse_qsl(parts.query))
        is_bucket = BUCKET.fullmatch(parts.netloc) and not parts.fragment
        if not is_bucket or self._options.keys() - {"endpoint", "region"}:
            raise BadRequest(FORM)
        for name in (KEY_ID, SECRET):
            if not os.environ.get(name):
                raise BadRequest(f"history is in a bucket, and {name} is not set")
        self._root = f"{parts.netloc}{parts.path.rstrip('/')}"

    def __str__(self) -> str:
        return f"{SCHEME}://{self._root}"

    def names(self, folder: str) -> "list[str]":
        selector = library("pyarrow.fs").FileSelector(self._at(folder), allow_not_found=True)
        try:
            return sorted(each.base_name for each in self._files.get_file_info(selector))
        except OSError as error:
            self._fail(error)

    def has(self, folder: str) -> bool:
        return self._info(folder).type.name == "Directory"

    def state(self, path: str) -> "State | None":
        found = self._info(path)
        return (found.mtime_ns, found.size) if found.is_file else None

    def opened(self, path: str) -> Any:
        """Return all of it, fetched at once."""
        try:
            with self._files.open_input_file(self._at(path)) as opened:
                return library("pyarrow").BufferReader(opened.read_buffer())
        except FileNotFoundError:
            return None
        except OSError as error:
            self._fail(error)

    def _info(self, path: str) -> Any:
        try:
            return self._files.get_file_info(self._at(path))
        except OSError as error:
            self._fail(error)

    def _at(self, path: str) -> str:
        return f"{self._root}/{path}"

    def _fail(self, error: OSError) -> NoReturn:
        said = " ".join(str(error).split())[:MOST_SAID]
        raise Unavailable(f"history in {self} can't be read now: {said}") from error

    @cached_property
    def _files(self) -> Any:
        """Speak to the store; nothing is sent yet. Raises Missing."""
        fs = library("pyarrow.fs")
        scheme, _, host = self._options.get("endpoint", "").rstrip("/").partition("://")
        where = {"scheme": scheme, "endpoint_override": host} if host else {}
        if os.environ.get(CA_FILE):
            where["tls_ca_file_path"] = os.environ[CA_FILE]
        regions = (self._options.get("region"), *map(os.environ.get, REGIONS), USUAL_REGION)
        return fs.S3FileSystem(
            access_key=os.environ[KEY_ID],
            secret_key=os.environ[SECRET],
            session_token=os.environ.get(TOKEN) or None,
            region=next(filter(None, regions)),
            connect_timeout=CONNECT_SECONDS,
            request_timeout=SILENT_SECONDS,
            retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=ATTEMPTS),
            **where,
        )
