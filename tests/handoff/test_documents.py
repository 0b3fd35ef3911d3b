"""What is written in both documents and can't be run here: it is held to what there is."""

import re
import shlex
import subprocess

import pytest
import yaml
from django.contrib.auth.models import Permission
from django.core.management import get_commands, load_command_class

from exchanges.lock.status import State
from tests.handoff.documents import DOCS, Command, read
from tests.handoff.messages import events, messages
from tests.test_run import ROOT

NAMES = ("handoff-binance-us.md", "operations.md")
LONGEST_COMPARED = 40  # of a message's fixed part: whoever looks for it finds it by that
# Which package brings what root is told to type, beyond what every Debian has.
BRINGS = {
    "curl": "curl", "docker": "docker", "git": "git", "redis-cli": "redis-server",
    "createuser": "postgresql", "createdb": "postgresql", "dropdb": "postgresql",
    "pg_dump": "postgresql", "pg_restore": "postgresql",
}  # fmt: skip
ESSENTIAL = {
    "apt-get", "timedatectl", "useradd", "install", "runuser", "su", "systemctl", "echo", "openssl",
    "sh",
}  # fmt: skip


def text_of(name):
    """Return a document on one line, without what is only form."""
    return " ".join((DOCS / name).read_text().replace("`", "").replace("\\|", "|").split())


def commands(kind):
    return [
        pytest.param(command.text, id=f"{name}: {command.text[:60]}")
        for name in NAMES
        for block in read(name)
        if block.kind == kind
        for command in block.commands
    ]


def programs(text):
    """Return what a command runs: itself, and behind runuser what that runs."""
    words = shlex.split(text)
    yield words[0]
    if words[0] == "runuser":
        yield words[words.index("--") + 1]


@pytest.mark.parametrize(
    ("told", "output", "right"),
    [
        (["3 added,", "0 failed"], "3   added, 0 failed", True),
        (["3 added, 0 failed"], "4 added, 0 failed", False),
        (["...", "0 failed"], "a table\n0 failed", True),
        (["...", "0 failed"], "0 failed\nand more", False),
        (["0 failed"], "a table\n0 failed", False),
        ([], "whatever", True),
    ],
)
def test_what_is_printed_has_to_be_what_is_told(told, output, right):
    assert Command("./run", printed=told).prints(output) is right


def test_both_documents_are_full_of_commands():
    assert len(commands("sh")) > 30
    assert len(commands("console")) > 30


@pytest.mark.parametrize("text", commands("sh") + commands("console"))
def test_a_command_is_written_in_the_language_of_a_shell(text):
    subprocess.run(["sh", "-n", "-c", text], check=True)


@pytest.mark.parametrize("text", commands("console"))
def test_what_root_types_is_there_once_the_packages_are(text):
    installed = " ".join(command.values[0] for command in commands("console"))
    packages = {word for line in re.findall(r"apt-get install (.*?)(?: #|$| [a-z]+ctl)", installed)
                for word in line.split()}  # fmt: skip
    for program in programs(text):
        package = BRINGS.get(program)
        assert program in ESSENTIAL or package == "docker" or package in packages, program


@pytest.mark.parametrize("text", commands("console"))
def test_what_root_names_is_there(text):
    for path in re.findall(r"(?<![\w/])(?:deploy|docs)/[\w.-]+", text):
        assert (ROOT / path).exists(), path
    for unit in re.findall(r"livermore-\w+", text):
        assert (ROOT / f"deploy/{unit.removesuffix('.service')}.service").exists(), unit
    if found := re.search(r"exec (\w+) python", text):
        assert found[1] in yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    for command, arguments in re.findall(r"(?:manage\.py|\./run) (\w+)([^&;']*)", text):
        parser = load_command_class(get_commands()[command], command).create_parser("", command)
        parser.parse_args(shlex.split(arguments))


@pytest.mark.django_db
def test_the_permissions_are_called_so():
    text = (DOCS / NAMES[0]).read_text()
    told = re.findall(r"^\| exchanges \\\| exchange \\\| (.+?) \|", text, re.MULTILINE)
    known = Permission.objects.filter(content_type__app_label="exchanges")
    assert len(told) == 3
    assert set(told) <= set(known.values_list("name", flat=True))


def test_every_state_is_explained():
    rows = re.findall(r"^\| \*(\w+)", (DOCS / NAMES[1]).read_text(), re.M)
    assert {state.capitalize() for state in State} | {"Stale"} == set(rows)


def test_every_message_is_explained():
    known = text_of(NAMES[1])
    missing = {
        text: places
        for text, places in messages().items()
        if " ".join(text.replace("`", "").split())[:LONGEST_COMPARED] not in known
    }
    assert missing == {}


def test_every_warning_and_error_of_the_log_is_explained():
    known = re.findall(r"`([a-z_]+\.[a-z_]+)`", (DOCS / NAMES[1]).read_text())
    assert {event: places for event, places in events().items() if event not in known} == {}


def test_every_alert_has_an_answer():
    rows = [line.split(" |") for line in (DOCS / "metrics.md").read_text().splitlines()]
    alerts = {
        row[0].strip("| `")
        for row in rows
        if row[0].startswith("| `livermore_") and row[-2].strip()
    }
    answered = set(re.findall(r"`(livermore_\w+)`", (DOCS / NAMES[1]).read_text()))
    assert len(alerts) > 15
    assert alerts <= answered
