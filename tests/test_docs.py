"""The documents say what the code does, or a test here fails."""

import ast
import inspect
import re
import shlex
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class

from livermore.market import keys
from tests import rooms

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("livermore", "exchanges", "warmup", "history", "serving", "alerts")
SOURCES = [path for name in PACKAGES for path in sorted((ROOT / name).rglob("*.py"))]
AT_THE_TOP = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"]
DOCUMENTS = [*(ROOT / name for name in AT_THE_TOP), *sorted((ROOT / "docs").glob("*.md"))]
FILE = re.compile(r"(?<![\w/.:*-])[\w./-]*\w[.](?:py|lua|toml|service)\b(?![\w*]|[.]\w)")
DOTTED = re.compile(
    r"(?<![\w/.-])(?:livermore|exchanges|warmup|tests|benchmarks)(?:[.][a-zA-Z_]\w*)+"
)
NO_MODULE = re.compile(r"livermore[.](?:env|sqlite3|json|log|dump|example|rules)\b")


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
    assert used - {"LIVERMORE_KEY_", "LIVERMORE_NOTIFY_"} == documented


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


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_block_of_code_in_a_document_ends(document):
    fences = re.findall(r"^```.*$", document.read_text(), re.M)
    assert fences[1::2] == ["```"] * (len(fences) // 2), fences
    assert len(fences) % 2 == 0


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


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_source_file_that_a_document_names_is_there(document):
    for name in FILE.findall(document.read_text()):
        assert (ROOT / name).is_file() or (document.parent / name).is_file(), name


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_module_that_a_document_names_is_there(document):
    for name in set(DOTTED.findall(document.read_text())):
        assert NO_MODULE.match(name) or is_there(name) or is_said(name), name


def is_there(name):
    """Tell whether it is a module, or something in one."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            if not find_spec(".".join(parts[:length])):
                continue
        except ModuleNotFoundError:
            continue
        found = import_module(".".join(parts[:length]))
        for part in parts[length:]:
            found = getattr(found, part, None)
        return found is not None
    return False


def is_said(name):
    """Tell whether it is an event of the log or a permission."""
    return any(re.search(rf"""["']{re.escape(name)}\b""", path.read_text()) for path in SOURCES)


def test_these_checks_would_notice_a_name_that_is_gone():
    said = "`warmup/gone.py:do` does it, `exchanges/rest/client.py` and (`run.py`) too; a *.py not"
    assert FILE.findall(said) == ["warmup/gone.py", "exchanges/rest/client.py", "run.py"]
    assert DOTTED.findall("`warmup.gone`, `python -m tests.rooms --write`, var/livermore.env") == [
        "warmup.gone",
        "tests.rooms",
    ]
    assert not is_there("warmup.gone") and not is_there("warmup.stats.Gone")
    assert is_there("warmup.stats.WarmupStats.begin") and is_said("warmup.not_shown")


def test_the_rooms_of_the_architecture_are_those_that_the_packages_tell_of():
    told = (ROOT / "ARCHITECTURE.md").read_text()
    assert rooms.written() == told, "`python -m tests.rooms --write` brings them there"


def test_rooms_that_changed_are_written_anew(tmp_path, monkeypatch):
    told = (ROOT / "ARCHITECTURE.md").read_text()
    monkeypatch.setattr(rooms, "DOCUMENT", tmp_path / "ARCHITECTURE.md")
    room = "| `exchanges/` |"
    assert told.count(room) == 1
    rooms.DOCUMENT.write_text(told.replace(room, "| `exchanges/gone/` |"))
    assert rooms.written() == told


def key_names():
    """Return every name of `keys`, with its parts in braces."""
    functions = (found for _, found in inspect.getmembers(keys, inspect.isfunction))
    ours = [found for found in functions if found.__module__ == keys.__name__]
    return {
        found.__name__: found(*(f"{{{part}}}" for part in inspect.signature(found).parameters))
        for found in ours
        if found not in (keys.pair_of, keys.pair_field, keys.nothing, keys.of_candles)
    }


def test_every_name_in_redis_is_documented():
    reference = (ROOT / "docs/redis-keys.md").read_text()
    overview = (ROOT / "ARCHITECTURE.md").read_text()
    for name in key_names().values():
        assert f"`{name}`" in reference, name
        assert f"| `{name}` |" in overview or name.startswith("channel:"), name


def test_nothing_is_documented_that_is_no_name_in_redis():
    for document in ("docs/redis-keys.md", "ARCHITECTURE.md"):
        text = (ROOT / document).read_text()
        table = text[text.index("| key | type |") :].partition("\n\n")[0]
        assert set(re.findall(r"^\| `([^`]+)`", table, re.M)) <= set(key_names().values())
