"""What documents say of venues is what the venues say of themselves."""

import re

import pytest

from exchanges.venues import VENUES
from tests import venues

README = (venues.ROOT / "README.md").read_text()
OWN_PAGES = [each for each in VENUES.values() if not venues.page_of(each).startswith("handoff")]


def test_the_table_of_venues_is_what_they_say_of_themselves():
    told = venues.DOCUMENT.read_text()
    assert venues.written() == told, "`python -m tests.venues --write` brings it there"


def test_a_table_that_is_wrong_would_be_noticed(tmp_path, monkeypatch):
    told = venues.DOCUMENT.read_text()
    monkeypatch.setattr(venues, "DOCUMENT", tmp_path / "venues.md")
    venues.DOCUMENT.write_text(told.replace("**no**", "yes"))
    assert venues.written() == told


@pytest.mark.parametrize("venue", VENUES.values(), ids=lambda venue: venue.name)
def test_the_readme_names_every_exchange(venue):
    first = README[: README.index("## The two commands")]
    for preset in venue.presets:
        assert preset.name == "sandbox" or preset.display_name in first


@pytest.mark.parametrize("venue", OWN_PAGES, ids=lambda venue: venue.name)
def test_a_page_takes_a_newcomer_to_each(venue):
    text = (venues.ROOT / "docs" / venues.page_of(venue)).read_text()
    [preset] = venue.presets
    for step in (
        f"./run exchange {preset.name} --active yes",
        f"./run check_exchange {preset.name}",
        f"./run symbols {preset.name} --sync",
        f"./run start {preset.name}",
    ):
        assert step in text, step
    said = re.search(r"Seen live: \*\*(yes|no)\*\*", text)
    assert said is not None
    assert (said[1] == "yes") == venue.seen_live
