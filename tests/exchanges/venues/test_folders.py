"""A venue is its folder and its line in the registry: nothing else names it."""

import re
from pathlib import Path

import pytest

from exchanges.venues import FOLDERS, VENUES

ROOT = Path(__file__).resolve().parents[3]
ROOMS = ("livermore", "exchanges", "warmup", "templates", "static")
REGISTRY = Path("exchanges/venues/__init__.py")
HISTORY = Path("exchanges/migrations")  # what was done to a database stays as it was
SANDBOX = Path("exchanges/sandbox")  # speaks their protocols: a folder and a line there as well
TEXTS = {".py", ".html", ".js", ".css", ".lua", ".svg", ".txt"}
NAMES = {name.lower() for name in (*FOLDERS, *VENUES)} | {
    venue.label.split()[0].lower() for venue in VENUES.values()
}


def own(path):
    """Tell whether a file may name a venue."""
    folders = [room / folder for room in (REGISTRY.parent, SANDBOX) for folder in FOLDERS]
    registries = (REGISTRY, SANDBOX / "protocols.py")
    return path in registries or any(map(path.is_relative_to, (HISTORY, *folders)))


def texts():
    found = [
        path.relative_to(ROOT)
        for room in ROOMS
        for path in (ROOT / room).rglob("*")
        if path.suffix in TEXTS and path.is_file()
    ]
    assert {path.suffix for path in found} >= {".py", ".html", ".js", ".css"}
    return [path for path in found if not own(path)]


def lines_that_name_a_venue(text):
    return [line for line in text.splitlines() if any(name in line.lower() for name in NAMES)]


def test_nothing_outside_of_its_folder_names_a_venue():
    found = {
        str(path): lines
        for path in texts()
        if (lines := lines_that_name_a_venue((ROOT / path).read_text(encoding="utf-8")))
    }
    assert found == {}
    assert not [path for path in texts() if any(name in str(path).lower() for name in NAMES)]


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_registry_names_a_venue_in_one_line(folder):
    lines = (ROOT / REGISTRY).read_text().splitlines()
    named = [line.strip() for line in lines if re.search(rf"\b{folder}\b", line.lower())]
    assert named == [f'"{folder}",']


def test_every_folder_is_in_the_registry():
    folders = [path.name for path in (ROOT / REGISTRY).parent.iterdir() if path.is_dir()]
    assert set(folders) - {"__pycache__"} == set(FOLDERS)


def test_this_would_be_noticed():
    assert lines_that_name_a_venue("a = 1\nif venue == 'Binance':\n# as COINBASE_KEY\n") == [
        "if venue == 'Binance':",
        "# as COINBASE_KEY",
    ]


@pytest.mark.parametrize("venue", VENUES.values(), ids=lambda venue: venue.name)
def test_a_folder_says_the_same_things_of_its_venue_as_every_other(venue):
    folder = REGISTRY.parent / venue.rest.__module__.split(".")[2]
    assert {"__init__.py", "rest.py", "stream.py", "symbols.py"} <= {
        path.name for path in (ROOT / folder).iterdir()
    }
    for maker in (venue.rest, venue.stream, venue.read_listing, venue.read_error):
        assert Path(*maker.__module__.split(".")).parent == folder
