"""What docs/assistants.md says of the tools is what these are."""

import json
import re
from pathlib import Path

import pytest
from livermore_reader.mcp import _parser
from livermore_reader.mcp.tools import TOOLS

ROOT = Path(__file__).resolve().parents[3]
MCP = ROOT / "reader/livermore_reader/mcp"
TEXT = (ROOT / "docs/assistants.md").read_text()
ROW = re.compile(r"^\| `(\w+)` \| (.*?) \| ", re.M)


def test_each_tool_is_there_with_all_that_it_takes():
    told = {name: set(re.findall(r"`(\w+)`", takes)) for name, takes in ROW.findall(TEXT)}
    assert {each.name: {*each.parameters} for each in TOOLS}.items() <= told.items()


def test_the_example_is_called_as_the_command_is():
    (example,) = re.findall(r"```json\n(.*?)```", TEXT, re.S)
    command = json.loads(example)["mcpServers"]["livermore"]
    scripts = (ROOT / "reader/pyproject.toml").read_text()
    assert f'{command["command"]} = "livermore_reader.mcp:main"' in scripts
    assert _parser().parse_args(command["args"]).url == "redis://127.0.0.1:6379/0"


@pytest.mark.parametrize("words_said", re.findall(r"^\| `([A-Z][A-Za-z: ]+)` \|", TEXT, re.M))
def test_what_an_answer_begins_with_is_said_by_the_code(words_said):
    files = [MCP / f"{name}.py" for name in ("arguments", "server", "tools", "words")]
    code = "".join(path.read_text() for path in files)
    assert f'"{words_said}' in code
