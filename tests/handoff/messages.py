"""What the code says to people when something goes wrong, read from its source."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.test_run import ROOT

PACKAGES = ("livermore", "exchanges", "warmup", "serving")
ROOT_ERROR = "LivermoreError"
OTHERS = {"EmbeddedRedisError", "Failed"}  # told to people as well, outside of the tree
# They return the text of a message, or a part of one.
TELLING = {"_redis_message", "_database_message", "_failure", "_how_it_was_lost", "runs_already"}
TELLING_CALLS = {"_lose"}
LEAST_LENGTH = 10
LEVELS = {"warning", "error", "exception"}


def sources() -> list[Path]:
    """Return our modules, without the sandbox: what it says is what exchanges say."""
    found = [path for name in PACKAGES for path in sorted((ROOT / name).rglob("*.py"))]
    return [path for path in found if "sandbox" not in path.parts]


def messages() -> dict[str, list[str]]:
    """Return every message by its first fixed part of some length, with the places that say it."""
    trees = {path: ast.parse(path.read_text()) for path in sources()}
    errors = _errors(trees.values()) | OTHERS
    found: dict[str, list[str]] = {}
    for path, tree in trees.items():
        known = errors - _other_meanings(tree)
        for node in ast.walk(tree):
            for text in _told(node, known):
                found.setdefault(text, []).append(f"{path.relative_to(ROOT)}:{node.lineno}")
    return found


def events() -> dict[str, list[str]]:
    """Return the events of warnings and errors in the log, with the places that log them."""
    found: dict[str, list[str]] = {}
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and _name(node.func) in LEVELS and node.args:
                event = "".join(_parts(node.args[0])).split(" ")[0]
                if "." in event and "%" not in event:
                    found.setdefault(event, []).append(f"{path.relative_to(ROOT)}:{node.lineno}")
    return found


def _errors(trees) -> set[str]:
    """Return the names of the classes below the root of our errors."""
    bases = {
        node.name: {_name(base) for base in node.bases}
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
    found = {ROOT_ERROR}
    while more := {name for name, above in bases.items() if above & found} - found:
        found |= more
    return found


def _other_meanings(tree: ast.Module) -> set[str]:
    """Return the names that mean an event of a stream in this module."""
    return {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "exchanges.stream.events"
        for alias in node.names
    }


def _told(node: ast.AST, errors: set[str]) -> Iterator[str]:
    if isinstance(node, ast.Call) and _name(node.func) in errors | TELLING_CALLS:
        yield from _telling(node.args[:1])
    elif isinstance(node, ast.ClassDef) and node.name in errors:
        for call in ast.walk(node):
            if isinstance(call, ast.Call) and _name(call.func) == "__init__":
                yield from _telling(call.args[:1])
    elif isinstance(node, ast.FunctionDef) and node.name in TELLING:
        for inner in ast.walk(node):
            if isinstance(inner, ast.Return) and inner.value is not None:
                yield from _telling([inner.value])


def _telling(values: list[ast.expr]) -> Iterator[str]:
    """Yield the part of a message by which somebody would look for it."""
    parts = [part.strip(" ;:.,()") for value in values for part in _parts(value)]
    long_enough = [part for part in parts if len(part) >= LEAST_LENGTH]
    if found := next(iter(long_enough), max(parts, key=len, default="")):
        yield found


def _parts(value: ast.expr) -> list[str]:
    """Return the fixed parts of a text."""
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        return [value.value]
    if isinstance(value, ast.JoinedStr):
        return [part for each in value.values for part in _parts(each)]
    return []


def _name(function: ast.expr) -> str:
    return getattr(function, "attr", getattr(function, "id", ""))
