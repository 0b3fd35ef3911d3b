"""Zips that hold one file of candles, and those that do not."""

import io
import struct
import zipfile
import zlib

import pytest

from exchanges.errors import BadPayload
from history.archives import unpack as unpacking
from history.archives.unpack import MOST_BYTES, unpack

TEXT = b"".join(b"1735689600000,4.%d,4.16\n" % number for number in range(2000))


def zipped(*contents, how=zipfile.ZIP_DEFLATED):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", how) as archive:
        for number, content in enumerate(contents):
            archive.writestr(f"{number}.csv", content)
    return made.getvalue()


@pytest.fixture(params=["isal", "zlib"], autouse=True)
def library(request, monkeypatch):
    """Unpack with what is fast, and with what is there without it."""
    if request.param == "zlib":
        monkeypatch.setattr(unpacking, "inflating", lambda: zlib)
    else:
        assert unpacking.inflating().__name__ == "isal.isal_zlib"


@pytest.mark.parametrize("how", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_the_one_file_of_a_zip_comes_out_of_it(how):
    assert unpack(zipped(TEXT, how=how)) == TEXT


def patched(content, at, octets):
    return content[:at] + octets + content[at + len(octets) :]


GOOD = zipped(TEXT)
DIRECTORY = GOOD.index(b"PK\1\2")
BROKEN = {
    "nothing": b"",
    "a page": b"<html><body>Just a moment...</body></html>",
    "half of it": GOOD[: len(GOOD) // 2],
    "its end alone": GOOD[-22:],
    "another content": patched(GOOD, 60, b"\0\0\0\0\0\0"),
    "two files": zipped(TEXT, TEXT),
    "no file": zipped(),
    "bzip2": zipped(TEXT, how=zipfile.ZIP_BZIP2),
    "encrypted": patched(GOOD, DIRECTORY + 8, b"\1\0"),
    "a folder that lies elsewhere": patched(GOOD, len(GOOD) - 6, b"\xff\xff\xff\x7f"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_such_zip_is_refused(name):
    with pytest.raises(BadPayload):
        unpack(BROKEN[name])


def test_a_zip_that_unpacks_to_far_more_than_it_has_is_refused():
    with pytest.raises(BadPayload, match="which no file of candles does"):
        unpack(zipped(b"0" * 5_000_000))


def test_a_file_that_is_too_long_is_refused_however_little_it_was_packed(monkeypatch):
    monkeypatch.setattr(unpacking, "MOST_BYTES", len(TEXT) - 1)
    with pytest.raises(BadPayload, match="would unpack to"):
        unpack(GOOD)
    assert MOST_BYTES > 44_640 * 250  # a month of minutes, at the longest


def test_a_zip_that_lies_about_its_length_unpacks_no_further():
    content = zipped(b"0" * 5_000_000)
    lie = struct.pack("<L", 1000)
    for at in (content.index(b"PK\3\4") + 22, content.index(b"PK\1\2") + 24):
        content = patched(content, at, lie)
    with pytest.raises(BadPayload):
        unpack(content)
