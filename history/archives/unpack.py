"""The one file in a zip, unpacked no further than a file of candles can be long. Pure."""

import io
import struct
import zipfile
import zlib

from exchanges.errors import BadPayload

MOST_ZIPPED_BYTES = 16_000_000  # a month of minutes has two to three million
MOST_BYTES = 32_000_000  # and six unpacked
MOST_RATIO = 200  # rows of a quiet market come as a thirtieth
PIECE_BYTES = 65_536
END = b"PK\5\6"  # of the directory, of which the count of files stands ten bytes further on
COUNT = struct.Struct("<10xH")
PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
NO_ZIP = (
    zipfile.BadZipFile, zlib.error, struct.error,
    EOFError, NotImplementedError, OSError, RuntimeError, ValueError,
)  # fmt: skip


def unpack(zipped: bytes) -> bytes:
    """Return the file that a zip holds.

    Raises BadPayload for what is no zip of one file, or one that would be far too long.
    """
    try:
        return _unpack(zipped)
    except NO_ZIP as error:
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
        content = bytearray()
        with archive.open(member) as opened:
            while piece := opened.read(PIECE_BYTES):  # whole, it would unpack what it likes
                content += piece
    return bytes(content)
