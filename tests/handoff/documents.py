"""A document as somebody follows it: its prose and its commands, in their order."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
DOCS = ROOT / "docs"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PROMPTS = {"sh": "$ ", "console": "# "}  # of the user, and of root
STAYS = re.compile(r"\s+# stays$")
ANYTHING = "..."


@dataclass
class Command:
    """One that is to be typed; `stays` if it does not return by itself."""

    text: str
    stays: bool = False
    printed: list[str] = field(default_factory=list)

    def prints(self, output: str) -> bool:
        """Tell whether that is what the document says, whatever stands at its `...`."""
        words = " ".join("\n".join(self.printed).split())
        pattern = re.escape(words).replace(re.escape(ANYTHING), ".*")
        return not words or bool(re.fullmatch(pattern, " ".join(output.split())))


@dataclass
class Block:
    """Some prose, and the commands below it; `kind` is sh, console, or empty for what is none."""

    prose: str
    kind: str
    commands: list[Command]


def read(name: str) -> list[Block]:
    """Return the document's blocks; the last one is its last prose."""
    text = (DOCS / name).read_text()
    blocks, at = [], 0
    for fence in FENCE.finditer(text):
        kind = fence[1] if fence[1] in PROMPTS else ""
        commands = list(_commands(fence[2], PROMPTS[kind])) if kind else []
        blocks.append(Block(text[at : fence.start()], kind, commands))
        at = fence.end()
    return [*blocks, Block(text[at:], "", [])]


def _commands(code: str, prompt: str) -> Iterator[Command]:
    command = None
    for line in code.splitlines():
        if line.startswith(prompt):
            if command:
                yield command
            text = line.removeprefix(prompt)
            command = Command(STAYS.sub("", text), bool(STAYS.search(text)))
        elif command is None:
            raise ValueError(f"something is printed before a command: {line}")
        else:
            command.printed.append(line)
    if command:
        yield command
