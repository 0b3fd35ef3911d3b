"""What docs/signals.md says of the Signals page and of alerts on all pages is what they do."""

import re
from pathlib import Path

from alerts.page import reader
from warmup.network.signals.reader import DIGITS_OF_VOLUME, STAGES
from warmup.network.words import WORDS
from warmup.templatetags.network import STAGE_GLYPHS

ROOT = Path(__file__).resolve().parents[4]
TEXT = (ROOT / "docs/signals.md").read_text()
SCRIPTS = ROOT / "static/network/signals"
PAGE = (ROOT / "templates/network/signals.html").read_text()


def rows(heading):
    """Return the cells of the table's rows that stands first below a heading."""
    part = TEXT.partition(f"## {heading}\n")[2]
    lines = re.search(r"(?:^\|.*\n)+", part, re.M)[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_each_column_of_the_page_is_explained():
    heads = re.findall(r'data-sort="\w+">(\w[\w ]*)</button>', PAGE)
    timeframes = re.search(r"TIMEFRAMES = \[(.*)\]", (SCRIPTS / "model.js").read_text())[1]
    said = ", ".join(row[0] for row in rows("What each column says"))
    assert said.split(", ") == [*heads, *re.findall(r'"(\w+)"', timeframes)]
    assert (DIGITS_OF_VOLUME, "to three digits" in TEXT) == (3, True)


def test_each_stage_is_explained_with_its_sign():
    said = {row[0]: row[1] for row in rows("Colours and stages")}
    assert said == {str(stage): STAGE_GLYPHS[letter] for stage, letter in STAGES.items()}


def test_each_key_is_explained():
    keys = set(re.findall(r'key === "(\w+)"', (SCRIPTS / "table.js").read_text()))
    said = {key for row in rows("By keys") for key in re.findall(r"`(\w+)`", row[0])}
    assert said == keys | {"Enter"}  # which is the link's own


def test_the_question_marks_lead_there():
    assert {WORDS[name].document for name in ("signals", "stages")} == {"signals"}


def test_the_drawer_is_as_bounded_as_it_says():
    assert reader.OPEN_SHOWN == reader.PAST_SHOWN
    assert re.search(rf"the newest\s+{reader.OPEN_SHOWN} of each", TEXT)
    assert f"the first {reader.MEMBERS_SHOWN}," in TEXT
