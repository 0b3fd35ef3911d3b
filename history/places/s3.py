"""A bucket of an object store that speaks S3, by pyarrow: an object is there whole or not at all.

Credentials come from the usual environment variables alone, never from the address.
"""

import hashlib
import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from django.core.exceptions import ValidationError

from exchanges.errors import LivermoreError, Misconfigured, Temporary, clip
from exchanges.validators import validate_rest_url
from history import parquet

if TYPE_CHECKING:
    import pyarrow.fs

SCHEME = "s3"
FORM = (
    "write s3://bucket/prefix?endpoint=https://host&region=us-east-1, both of which may be left out"
)
KEY_ID, SECRET, TOKEN = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"
CA_FILE = "AWS_CA_BUNDLE"
REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")
USUAL_REGION = "us-east-1"
BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
CONNECT_SECONDS, SILENT_SECONDS = 5.0, 10.0
ATTEMPTS = 3
ID_OBJECT = "store-id"
ID = re.compile(r"[0-9a-f]{32}\s*")
# What the store says where it is not the network, by words of its answer.
REFUSALS = (
    ("NO_SUCH_BUCKET", "there is no such bucket", "make it, or correct LIVERMORE_HISTORY"),
    ("INVALID_ACCESS_KEY_ID", "the key is not known there", f"correct {KEY_ID}"),
    ("InvalidAccessKeyId", "the key is not known there", f"correct {KEY_ID}"),
    ("INVALID_CLIENT_TOKEN_ID", "the key is not known there", f"correct {KEY_ID}"),
    ("SIGNATURE", "the secret does not fit the key", f"correct {SECRET}"),
    ("ACCESS_DENIED", "the key may not do that", f"correct {KEY_ID} and {SECRET}, or its rights"),
    ("HTTP status 301", "the bucket is in another region", "name that with region="),
)


class Address(NamedTuple):
    """Which objects, and where."""

    bucket: str
    prefix: str  # without slashes around it
    endpoint: str  # "" for Amazon's own
    region: str

    def __str__(self) -> str:
        where = f" at {self.endpoint}" if self.endpoint else ""
        return f"{SCHEME}://{self.bucket}/{self.prefix}".rstrip("/") + where


def read_address(url: str) -> Address:
    """Return what an address names. Raises Misconfigured, whose line repeats no password."""
    parts = urlsplit(url)
    if "@" in parts.netloc:
        raise _wrong("holds a user name or password", f"put them into {KEY_ID} and {SECRET}")
    options = dict(parse_qsl(parts.query))
    if unknown := options.keys() - {"endpoint", "region"}:
        # Its value, and even its name, may be a secret.
        raise _wrong(f"has {len(unknown)} options that are neither endpoint nor region", FORM)
    if not BUCKET.fullmatch(parts.netloc) or parts.fragment:
        raise _wrong("names no bucket", FORM)
    endpoint = options.get("endpoint", "").rstrip("/")
    if endpoint:
        try:
            validate_rest_url(endpoint)
        except ValidationError as error:
            raise _wrong("has an endpoint that can't be used", " ".join(error.messages)) from None
    region = options.get("region") or next(filter(None, map(os.environ.get, REGIONS)), USUAL_REGION)
    return Address(parts.netloc, parts.path.strip("/"), endpoint, region)


def _wrong(fault: str, remedy: str) -> Misconfigured:
    return Misconfigured(f"LIVERMORE_HISTORY {fault}", remedy)


class Bucket:
    """Objects by their path below a prefix of a bucket."""

    def __init__(self, address: Address):
        self._address = address
        self._root = f"{address.bucket}/{address.prefix}".rstrip("/")
        self._files = _connect(address)

    def __str__(self) -> str:
        return str(self._address)

    def id(self) -> str:
        """Return what tells this bucket and prefix from all others; made at the first call.

        Two processes that make it at once make the same, out of its address. It stays where the
        same objects are reached at another one later.
        """
        found = self.read(ID_OBJECT)
        if found is None:
            found = (
                hashlib.sha256(repr(tuple(self._address[:3])).encode()).hexdigest()[:32].encode()
            )
            self.write(ID_OBJECT, found)
        text = found.decode("ascii", "replace")
        if not ID.fullmatch(text):
            raise Misconfigured(
                f"{ID_OBJECT} in {self} does not hold 32 hex digits", "put back what it held"
            )
        return text.strip()

    def read(self, path: str) -> bytes | None:
        """Return an object's content, None where there is none."""
        try:
            with self._files.open_input_file(f"{self._root}/{path}") as opened:
                return opened.read()
        except FileNotFoundError as error:
            self._refuse_bucket(error)
            return None
        except OSError as error:
            raise self._fault(error) from error

    def write(self, path: str, content: bytes) -> None:
        """Put an object in place of what is there; who reads meanwhile has the one or the other."""
        try:
            with self._files.open_output_stream(f"{self._root}/{path}") as opened:
                opened.write(content)
        except OSError as error:
            raise self._fault(error) from error

    def move(self, path: str, to: str) -> None:
        """Give an object another path; nothing where there is none."""
        content = self.read(path)
        if content is None:
            return
        self.write(to, content)
        try:
            self._files.delete_file(f"{self._root}/{path}")
        except FileNotFoundError:
            return  # somebody else moved it
        except OSError as error:
            raise self._fault(error) from error

    def paths(self, below: str = "") -> Iterator[str]:
        """Yield the path of each object, or of those below a path."""
        fs = parquet.library().fs
        base = f"{self._root}/{below}".rstrip("/")
        selector = fs.FileSelector(base, recursive=True, allow_not_found=True)
        try:
            found = self._files.get_file_info(selector)
        except OSError as error:
            raise self._fault(error) from error
        for path in sorted(each.path for each in found if each.type == fs.FileType.File):
            relative = path.removeprefix(f"{self._root}/")
            if relative != ID_OBJECT:
                yield relative

    def clear_drafts(self, below: str) -> int:
        """Return 0: nothing is seen of an object before it is whole."""
        return 0

    def _refuse_bucket(self, error: OSError) -> None:
        """Raise where it is the bucket that is not there."""
        if "NO_SUCH_BUCKET" in str(error):
            raise self._fault(error) from error

    def _fault(self, error: OSError) -> LivermoreError:
        """Return in one line what the store said, or that it says nothing."""
        text = str(error)
        for words, fault, remedy in REFUSALS:
            if words in text:
                return Misconfigured(f"history can't be kept in {self}: {fault}", remedy)
        if "NETWORK_CONNECTION" in text or "curlCode" in text:
            return Temporary(
                f"history can't be kept in {self}: it does not answer "
                f"({_reason(text)}). It goes on where it was once that does"
            )
        return Temporary(f"history can't be kept in {self}: {clip(text)}")


def _reason(text: str) -> str:
    return clip(text.rpartition("curlCode: ")[2] or text, 80)


def _connect(address: Address) -> "pyarrow.fs.S3FileSystem":
    """Return what speaks to the store; nothing is sent yet."""
    fs = _file_systems()
    scheme, _, host = address.endpoint.partition("://")
    where: dict[str, Any] = {"scheme": scheme, "endpoint_override": host} if host else {}
    if ca_file := os.environ.get(CA_FILE):
        where["tls_ca_file_path"] = ca_file
    return fs.S3FileSystem(
        access_key=_variable(KEY_ID),
        secret_key=_variable(SECRET),
        session_token=os.environ.get(TOKEN) or None,
        region=address.region,
        connect_timeout=CONNECT_SECONDS,
        request_timeout=SILENT_SECONDS,
        allow_delayed_open=True,  # a small object goes up with one call, and whole
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=ATTEMPTS),
        **where,
    )


def _file_systems() -> Any:
    parquet.library()
    import pyarrow.fs

    return pyarrow.fs


def _variable(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise Misconfigured(
            f"history is to be kept in a bucket, and {name} is not set",
            f"set {KEY_ID} and {SECRET} in the environment of whoever reads or writes it",
        )
    return value
