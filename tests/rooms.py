"""The rooms in ARCHITECTURE.md, made from the first line of each package's docstring.

`python -m tests.rooms` prints them, with `--write` it writes them into the document.
"""

import ast
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "ARCHITECTURE.md"
PACKAGES = ("livermore", "exchanges", "warmup", "history", "serving", "alerts", "reader")
HEAD = "| room | what is in it |\n|---|---|\n"
TABLE = re.compile(re.escape(HEAD) + r"(?:\|.*\n)+")


def packages() -> list[Path]:
    """Return the `__init__.py` of every package, parents first; migrations are nobody's room."""
    found = [path for name in PACKAGES for path in (ROOT / name).rglob("__init__.py")]
    rooms = [path for path in found if path.parent.name not in ("migrations", "management")]
    return sorted(rooms, key=lambda path: (PACKAGES.index(_parts(path)[0]), _parts(path)))


def first_line(path: Path) -> str:
    """Return the first line of a package's docstring; ValueError where there is none."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    if not text:
        raise ValueError(f"{path.relative_to(ROOT)} does not say what is in its folder")
    return text.splitlines()[0]


def table() -> str:
    """Return the rooms as the document has them."""
    rows = (f"| `{'/'.join(_parts(path))}/` | {first_line(path)} |\n" for path in packages())
    return HEAD + "".join(rows)


def written() -> str:
    """Return the document with the rooms as they are."""
    text, count = TABLE.subn(lambda found: table(), DOCUMENT.read_text(encoding="utf-8"))
    if count != 1:
        raise ValueError(f"{DOCUMENT.name} has {count} tables of rooms")
    return text


def _parts(path: Path) -> tuple[str, ...]:
    return path.parent.relative_to(ROOT).parts


if __name__ == "__main__":
    if "--write" in sys.argv:
        DOCUMENT.write_text(written(), encoding="utf-8")
    else:
        print(table(), end="")
