"""The one file in a zip, unpacked no further than a file of candles can be long. Pure."""

import io
import struct
import zipfile
import zlib
from functools import cache
from importlib import import_module
from typing import Any

from exchanges.errors import BadPayload

MOST_ZIPPED_BYTES = 16_000_000  # a month of minutes has two to three million
MOST_BYTES = 32_000_000  # and six unpacked
MOST_RATIO = 200  # rows of a quiet market come as a thirtieth
END = b"PK\5\6"  # of the directory, of which the count of files stands ten bytes further on
COUNT = struct.Struct("<10xH")
BEGIN = b"PK\3\4"  # of a file, of whose name and what follows it the lengths stand 26 bytes on
HEAD = struct.Struct("<4s22xHH")
PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
NO_ZIP = (
    zipfile.BadZipFile, struct.error,
    EOFError, NotImplementedError, OSError, RuntimeError, ValueError,
)  # fmt: skip


def unpack(zipped: bytes) -> bytes:
    """Return the file that a zip holds.

    Raises BadPayload for what is no zip of one file, or one that would be far too long.
    """
    try:
        return _unpack(zipped)
    except (*NO_ZIP, inflating().error) as error:
        raise BadPayload(f"it can't be unpacked ({type(error).__name__})") from error


def _unpack(zipped: bytes) -> bytes:
    at = zipped.rfind(END)
    count = COUNT.unpack_from(zipped, at)[0] if at >= 0 else 0
    if count != 1:  # looked at first: a directory of millions would be read whole
        raise BadPayload(f"it holds {count} files, not one" if count else "it is no zip")
    with zipfile.ZipFile(io.BytesIO(zipped)) as archive:
        (member,) = archive.infolist()
    if member.compress_type not in PACKED or member.flag_bits & 1:
        raise BadPayload("it is packed in a way, or encrypted, as no file of candles is")
    if member.file_size > min(MOST_BYTES, MOST_RATIO * len(zipped)):
        raise BadPayload(
            f"its {len(zipped):,} bytes would unpack to {member.file_size:,}, "
            "which no file of candles does"
        )
    content = _inflated(_packed(zipped, member), member)
    if len(content) != member.file_size or inflating().crc32(content) != member.CRC:
        raise BadPayload("what it holds is not what it says")
    return content


def _packed(zipped: bytes, member: zipfile.ZipInfo) -> memoryview:
    signature, *lengths = HEAD.unpack_from(zipped, member.header_offset)
    if signature != BEGIN:
        raise BadPayload("its file is not where it says")
    start = member.header_offset + HEAD.size + sum(lengths)
    return memoryview(zipped)[start : start + member.compress_size]


def _inflated(packed: memoryview, member: zipfile.ZipInfo) -> bytes:
    if member.compress_type == zipfile.ZIP_STORED:
        return bytes(packed[: member.file_size + 1])
    unpacking = inflating().decompressobj(-zlib.MAX_WBITS)  # bare, without a head of zlib's
    content: bytes = unpacking.decompress(packed, member.file_size + 1)  # it may lie
    return content


@cache
def inflating() -> Any:
    """Return what unpacks: isal takes half the time of zlib, which is always there."""
    try:
        return import_module("isal.isal_zlib")
    except ImportError:
        return zlib
