"""The example of a settings file: three programs read it, and all of them alike."""

import re
import subprocess

from tests.handoff.units import read_environment
from tests.test_run import ROOT

EXAMPLE = ROOT / "deploy/livermore.env.example"
OF_OTHERS = {
    *("POSTGRES_PASSWORD", "LIVERMORE_REQUIREMENTS", "COINBASE_KEY", "COINBASE_SECRET"),
    "LIVERMORE_NOTIFY_PHONE",
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "GRAFANA_PASSWORD"),
}
UNUSED = re.compile(r"^#(?=[A-Z_]+=)", re.MULTILINE)


def all_set(tmp_path):
    """Return the example with all that is in it set."""
    path = tmp_path / "livermore.env"
    path.write_text(UNUSED.sub("", EXAMPLE.read_text()))
    return path


def test_every_variable_is_a_setting_that_is_documented(tmp_path):
    documented = re.findall(r"^\| `([A-Z_]+)` ", (ROOT / "docs/settings.md").read_text(), re.M)
    found = read_environment(all_set(tmp_path)).keys()
    assert found - OF_OTHERS <= set(documented)
    assert len(found) > len(OF_OTHERS)


def test_a_shell_takes_it_as_systemd_does(tmp_path):
    path = all_set(tmp_path)
    show = ["env", "-i", "PATH=/usr/bin:/bin", "sh", "-c", f"set -a; . '{path}'; env -0"]
    done = subprocess.run(show, capture_output=True, text=True, check=True)
    shell = dict(line.partition("=")[::2] for line in done.stdout.split("\0") if line)
    ours = read_environment(path)
    assert {name: shell.get(name) for name in ours} == ours
    assert r"\n" in ours["COINBASE_SECRET"]  # as a key file has it


def test_nothing_in_it_is_a_secret():
    for name, text in read_environment(EXAMPLE).items():
        assert not re.search("KEY|SECRET|TOKEN|PASSWORD", name), name
        assert "@" not in text
