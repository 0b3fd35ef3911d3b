"""The documents say what the code does, or a test here fails."""

import ast
import re
import shlex
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("livermore", "exchanges", "warmup")
SOURCES = [path for name in PACKAGES for path in sorted((ROOT / name).rglob("*.py"))]
DOCUMENTS = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", *sorted((ROOT / "docs").glob("*.md"))]


def names_in(path):
    """Return the names a module uses, and the `module.attribute` pairs."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found.add(f"{node.value.id}.{node.attr}")
        elif isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.ClassDef | ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ImportFrom):
            found |= {alias.name for alias in node.names}
    return found


def test_every_setting_is_documented_and_nothing_else():
    used = set()
    for path in [*SOURCES, ROOT / "run"]:
        used |= set(
            re.findall(r"""["'](LIVERMORE_[A-Z_]+|REDIS_URL|DATABASE_URL)["']""", path.read_text())
        )
    documented = set(re.findall(r"^\| `([A-Z_]+)` ", (ROOT / "docs/settings.md").read_text(), re.M))
    assert used - {"LIVERMORE_KEY_"} == documented


def test_every_module_that_touches_a_ticker_key_is_listed():
    ticker_names = {"keys.ticker", "keys.ticker_channel", "TickerCache", "ticker_channel"}
    touching = {str(path.relative_to(ROOT)) for path in SOURCES if names_in(path) & ticker_names}
    text = (ROOT / "docs/ticker-keys.md").read_text()
    assert set(re.findall(r"^- `([^`]+)`: ", text, re.M)) == touching


def test_no_ticker_name_is_built_outside_of_keys():
    for path in SOURCES:
        if path.name != "keys.py":
            assert not re.search(r"""f["'](channel:)?ticker:""", path.read_text()), path


def commands_in(document):
    return re.findall(r"^(?:\$ )?\./run ([a-z_]+)", document.read_text(), re.M)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_in_a_document_exists(document):
    known = {*get_commands(), "test", "lint", "bench", "experiments", "help"}
    assert set(commands_in(document)) <= known


def test_the_readme_names_the_two_commands():
    text = (ROOT / "README.md").read_text()
    assert "\n./run\n" in text
    assert "\n./run test\n" in text


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_file_a_document_links_to_is_there(document):
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text()):
        assert (document.parent / target).exists(), target


def test_every_test_that_a_document_names_is_there():
    named = re.findall(r"`(tests/[^`]+[.]py)`", (ROOT / "docs/security.md").read_text())
    assert len(named) > 20
    for name in named:
        assert (ROOT / name).is_file(), name


def test_every_room_of_the_readme_is_there():
    rooms = re.findall(r"^\| `([^`]+)` \|", (ROOT / "README.md").read_text(), re.M)
    assert len(rooms) > 8
    for room in rooms:
        assert (ROOT / room).exists(), room


@pytest.mark.parametrize("command", ["warmup", "repair", "backfill", "symbols", "exchange"])
def test_the_options_the_readme_shows_exist(command):
    parser = load_command_class(get_commands()[command], command).create_parser("run", command)
    shown = re.findall(rf"^\$ \./run {command}\b *(.*)$", (ROOT / "README.md").read_text(), re.M)
    assert shown
    for arguments in shown:
        parser.parse_args(shlex.split(arguments))
