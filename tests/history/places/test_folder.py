"""A folder of this machine: which one is meant, and in one line why it can't be used."""

from pathlib import Path

import pytest

from exchanges.errors import Misconfigured
from history.places.folder import ID_FILE, Folder
from history.places.place import configured_place


@pytest.mark.parametrize("stored", [b"", b"hello", b"\xff\xfe", b"0" * 31])
def test_an_id_that_is_none_is_one_line(tmp_path, stored):
    (tmp_path / ID_FILE).write_bytes(stored)
    with pytest.raises(Misconfigured, match="does not hold 32 hex digits: put back what it held"):
        Folder(tmp_path).id()


@pytest.mark.parametrize(
    "named", ["file:///var/history", "s3:/bucket/history", "S3:bucket", "gs://bucket", "C:\\files"]
)
def test_an_address_that_is_no_folder_and_no_bucket_makes_no_folder(settings, named):
    settings.HISTORY = named
    with pytest.raises(Misconfigured, match="neither a folder nor a bucket: write a path, or s3:"):
        configured_place()


def test_a_home_is_found_as_a_shell_would(settings, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    settings.HISTORY = "~/history"
    assert str(configured_place()) == str(tmp_path / "history")
    settings.HISTORY = "~nobody-of-that-name/history"
    with pytest.raises(Misconfigured, match="LIVERMORE_HISTORY names the home of nobody"):
        configured_place()


def test_a_colon_in_a_folders_name_is_none_of_an_address(settings, tmp_path):
    settings.HISTORY = f"{tmp_path}/a:b"
    assert configured_place() is not None
    settings.HISTORY = "./a:b"
    assert str(configured_place()) == str(Path("a:b"))
