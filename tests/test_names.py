"""Names in the code are words of the field: those that were riddles do not come back."""

import ast
import re
from pathlib import Path

from tests.rules import for_each

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted(
    path
    for folder in (
        *("livermore", "exchanges", "warmup", "history", "serving", "alerts", "reader"),
        *("benchmarks", "tests"),
    )
    for path in (ROOT / folder).rglob("*.py")
    if "migrations" not in path.parts
)
# What each of them was for is in docs/glossary.md by its one word now.
GIVEN_UP = {
    "audience", "beat", "bell", "culprit", "desk", "dice", "director", "frontdoor", "gate",
    "hear", "heard", "histories", "impatient", "ladder", "lifeline", "mend", "mended",
    "mender", "mischief", "nudge", "patience", "patient", "poke", "rhythm", "situation",
    "stranger", "tape", "visitor", "wording",
}  # fmt: skip
WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
EVENT = re.compile(r'"([a-z_]+)\.[a-z_]+[ "]')


def names_in(tree):
    """Yield every name that a module defines or assigns, and its parameters."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr


def riddles(names):
    """Return the names that are built from a word that was given up, or from its plural."""
    return sorted(
        {
            name
            for name in names
            if any({word.lower(), word.lower().removesuffix("s")} & GIVEN_UP
                   for word in WORD.findall(name))
        }
    )  # fmt: skip


@for_each(SOURCES)
def test_no_name_is_a_riddle(path):
    text = path.read_text()
    found = [path.stem, *names_in(ast.parse(text)), *EVENT.findall(text)]
    assert riddles(found) == []


def test_a_riddle_would_be_found():
    names = ["_bell", "CardMender", "nudges", "LEAST_PATIENCE_SECONDS", "label", "tapered"]
    assert riddles(names) == ["CardMender", "LEAST_PATIENCE_SECONDS", "_bell", "nudges"]
