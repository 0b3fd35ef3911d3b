"""Every Lua script is a file that says what it takes, is loaded by a module, and tried alone."""

import re
from pathlib import Path

import pytest

from exchanges.redis.scripts import CONSTANTS, INCLUDE
from tests.rules import for_each

ROOT = Path(__file__).resolve().parents[3]
OURS = ("livermore", "exchanges", "warmup", "history", "serving")
FILES = sorted(
    path.relative_to(ROOT).as_posix() for room in OURS for path in (ROOT / room).rglob("*.lua")
)
MODULES = {path: path.read_text() for room in OURS for path in (ROOT / room).rglob("*.py")}
TESTS = [path.read_text() for path in (ROOT / "tests").rglob("test_*script*.py")]
LOADED = re.compile(r'load_script\(\s*"([^"]+)"')
USED = {name: re.compile(rf"\b{name}\[([^\]]+)\]") for name in ("KEYS", "ARGV")}
# A number, or a row of them, which may be open: `1`, `2...4`, `2...`.
ENTRY = re.compile(r"^--   (\d+)(\.\.\.(\d*))? +\S", re.MULTILINE)
COMMAND = re.compile(r"redis\.p?call\('([A-Z]+)'((?:, '[^']*')*)(?:, ([^,)]+))?")
KEY_BEHIND_WORDS = {"XGROUP", "XREADGROUP"}
WITHOUT_KEY = {"PUBLISH", "TIME", "INFO"}
LAST = "#KEYS"  # how the fence names the key behind all others
FOR_ITS_SLOT = re.compile(r"^--   1  .* slot$", re.MULTILINE)  # a key that nothing is done with


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def whole(name, seen=()):
    """Return a script's text with what it includes."""
    included = [each for each in INCLUDE.findall(read(name)) if each not in seen]
    return "".join(whole(each, (*seen, name)) for each in included) + read(name)


def code(text):
    return re.sub(r"--.*", "", text)


def head(name):
    """Return the comment that a file begins with."""
    return re.match(r"(?:--.*\n)*", read(name))[0]


def entries(name, what):
    """Return the first and last number of each entry of KEYS or ARGV, None where nothing is said.

    The last is infinite where the row is open.
    """
    found = re.search(rf"^-- {what}\n((?:--   .*\n)+)", head(name), re.MULTILINE)
    if not found:
        return None
    return [
        (int(first), float(last or "inf") if row else int(first))
        for first, row, last in ENTRY.findall(found[1])
    ]


def is_library(name):
    """Tell whether others include it: then it has no module that loads it."""
    return any(name in INCLUDE.findall(read(other)) for other in FILES)


def check_head(name, what):
    """Check that a head names each key or argument that the code uses, and none that it doesn't."""
    said = entries(name, what)
    used = USED[what].findall(code(whole(name)))
    is_last_used = LAST in used
    numbers = {int(each) for each in used if each.isdigit()}
    is_counted = re.search(rf"\b{what}\b(?!\[\d+\])", code(whole(name)))
    if said is None:
        assert is_library(name) or not used, f"{name} has no {what} in its head"
        own = {*USED[what].findall(code(read(name)))} - {LAST}
        assert not own, f"{name} does not say what its {what} are"
        return
    for number in numbers:
        assert any(a <= number <= b for a, b in said), (
            f"{name}: {what}[{number}] is not in its head"
        )
    for first, last in said:
        is_used = first in numbers or (last > first and is_counted)
        is_used = is_used or (is_last_used and (first, last) == said[-1])
        is_used = is_used or (what == "KEYS" and FOR_ITS_SLOT.search(head(name)))
        assert is_used, f"{name}: {what}[{first}] of its head is used nowhere"


def test_there_are_scripts():
    assert len(FILES) > 30


@pytest.mark.parametrize("name", FILES)
def test_a_script_says_first_what_it_does(name):
    assert re.match(r"-- [A-Z]\w+ ", head(name)), name


@pytest.mark.parametrize("what", USED)
@pytest.mark.parametrize("name", FILES)
def test_a_script_says_what_its_keys_and_arguments_are(name, what):
    check_head(name, what)


@pytest.mark.parametrize("name", FILES)
def test_a_script_stands_in_the_room_that_loads_it_or_is_included(name):
    room = (ROOT / name).parent.parent
    loading = [path for path, text in MODULES.items() if name in LOADED.findall(text)]
    assert (ROOT / name).parent.name == "lua"
    assert is_library(name) or [path for path in loading if path.parent == room], loading


@pytest.mark.parametrize("name", FILES)
def test_a_script_is_tried_alone_by_its_file(name):
    assert any(re.search(rf"\b{Path(name).stem}\b", text) for text in TESTS)


@pytest.mark.parametrize("name", FILES)
def test_what_a_script_asks_for_is_there_and_used(name):
    for included in INCLUDE.findall(read(name)):
        assert included in FILES
    for line in CONSTANTS.findall(read(name)):
        for constant in line.split(", "):
            assert re.search(rf"\b{constant}\b", code(read(name))), f"{name}: {constant}"


@pytest.mark.parametrize("name", FILES)
def test_no_script_makes_the_name_of_a_key(name):
    for command, words, key in COMMAND.findall(code(read(name))):
        if command in WITHOUT_KEY:
            continue
        assert re.fullmatch(r"\w+|KEYS\[[^\]]+\]", key.strip()), f"{name}: {command} {key}"
        assert not words or command in KEY_BEHIND_WORDS, f"{name}: {command}{words}"


@for_each(MODULES)
def test_no_script_stands_in_a_module(path):
    assert not re.search(r"redis\.p?call\(|KEYS\[|ARGV\[", MODULES[path])
    if path != ROOT / "exchanges/redis/scripts.py":
        sent = r"\.(register_script|script_load|eval|evalsha)\("
        assert not re.search(sent, MODULES[path])


def test_scripts_are_part_of_what_the_image_holds():
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert {f"!{room}" for room in OURS} <= set(lines)
    assert not [line for line in lines if "lua" in line]
    assert "lua" not in (ROOT / ".gitignore").read_text()


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            "-- Do.\n--\n-- KEYS\n--   1  a: hash\n-- ARGV\n--   none\n\nreturn KEYS[2]",
            "not in its",
        ),
        ("-- Do.\n--\n-- KEYS\n--   1  a: hash\n--   2  b: hash\n\nreturn KEYS[1]", "used nowhere"),
        ("-- Do.\n--\n-- ARGV\n--   1  a: ms\n\nreturn KEYS[1]", "no KEYS"),
    ],
)
def test_these_checks_would_notice(tmp_path, monkeypatch, text, fault):
    monkeypatch.setattr("tests.exchanges.redis.test_lua.ROOT", tmp_path)
    monkeypatch.setattr("tests.exchanges.redis.test_lua.FILES", ["do.lua"])
    (tmp_path / "do.lua").write_text(text)
    with pytest.raises(AssertionError, match=fault):
        check_head("do.lua", "KEYS")
