"""The systemd units: what can be told of them without running them, which tests/handoff does."""

import os
import shlex
import shutil
import subprocess
import sys

import pytest
from django.core.management import get_commands, load_command_class

from livermore.web.limits.requests import CONNECTIONS, SPARE_DESCRIPTORS
from tests.handoff.units import HOME, read_unit
from tests.test_run import ROOT, environment

UNITS = sorted((ROOT / "deploy").glob("*.service"))
OWN = {"Description", "ExecStart", "TimeoutStopSec", "RestartSec"}  # what differs between them
SHELTER = {
    "User": "livermore",
    "ProtectSystem": "strict",
    "ReadWritePaths": f"{HOME}/var",
    "NoNewPrivileges": "true",
    "CapabilityBoundingSet": "",
    "PrivateTmp": "true",
    "UMask": "0077",
}


@pytest.fixture
def checkout(tmp_path):
    """A checkout without its code, with its units."""
    (tmp_path / "var").mkdir()
    (tmp_path / "var/livermore.env").touch()
    (tmp_path / ".venv").symlink_to(sys.prefix)
    for unit in UNITS:
        text = unit.read_text().replace(HOME, str(tmp_path)).replace("User=livermore", "User=root")
        (tmp_path / unit.name).write_text(text)
    return tmp_path


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd here")
def test_systemd_understands_all_of_them(checkout):
    units = [checkout / unit.name for unit in UNITS]
    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_its_program_is_there_and_knows_what_it_is_told(unit, checkout):
    program, *words = shlex.split(read_unit(checkout / unit.name)["Service"]["ExecStart"])
    assert os.access(program, os.X_OK)
    assert words[0] == "manage.py"
    command = load_command_class(get_commands()[words[1]], words[1])
    assert command.create_parser("manage.py", words[1]).parse_args(words[2:])


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_settings_that_cannot_work_are_refused_before_it_starts(unit, checkout):
    _, *words = shlex.split(read_unit(checkout / unit.name)["Service"]["ExecStartPre"])
    wrong = environment() | {"REDIS_URL": "redis://:secret@host:port", "DJANGO_COLORS": "nocolor"}
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT, env=wrong, capture_output=True, text=True
    )
    assert (done.returncode, "livermore.E001" in done.stderr) == (1, True)
    assert "secret" not in done.stderr


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_it_starts_again_for_ever_and_may_do_little(unit):
    found = read_unit(unit)
    assert found["Service"]["Restart"] == "always"
    assert found["Unit"]["StartLimitIntervalSec"] == "0"
    assert SHELTER.items() <= dict(found["Service"]).items()


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_it_may_take_so_much_and_no_more(unit):
    found = read_unit(unit)["Service"]
    assert {"MemoryMax", "TasksMax"} <= found.keys()
    assert int(found["LimitNOFILE"]) >= CONNECTIONS + SPARE_DESCRIPTORS


def test_there_are_five_and_they_are_alike():
    agent, alerts, history, serve, web = map(read_unit, UNITS)
    assert [path.name for path in UNITS] == [
        "livermore-agent.service", "livermore-alerts.service", "livermore-history.service",
        "livermore-serve.service", "livermore-web.service",
    ]  # fmt: skip
    for section in agent:
        # The web server is one process, and hands nothing over; `serve` ends its own in order.
        of_all = agent[section].keys() - {"OOMPolicy", "Environment"}
        assert of_all == web[section].keys() == serve[section].keys() - {"KillMode"}
        assert of_all == history[section].keys() == alerts[section].keys()
        for name in of_all - OWN:
            of_others = {one[section][name] for one in (alerts, history, serve, web)}
            assert of_others == {agent[section][name]}, name


def test_they_take_the_settings_that_the_documents_speak_of():
    paths = {read_unit(unit)["Service"]["EnvironmentFile"] for unit in UNITS}
    assert paths == {f"{HOME}/var/livermore.env"}
