"""One version, wherever it is asked for."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from livermore import __version__

ROOT = Path(__file__).resolve().parent.parent


def output(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, **options)
    assert done.stderr == ""
    assert done.returncode == 0
    return done.stdout


@pytest.mark.parametrize("word", ["--version", "-V", "version"])
def test_run_tells_it_with_nothing_installed(tmp_path, word):
    shutil.copy(ROOT / "run", tmp_path)
    (tmp_path / "livermore").mkdir()
    shutil.copy(ROOT / "livermore/__init__.py", tmp_path / "livermore")
    assert output(tmp_path / "run", word) == f"Livermore {__version__}\n"
    assert not (tmp_path / ".venv").exists()


@pytest.mark.parametrize(
    "arguments", [["--version"], ["version"], ["warmup", "--version"], ["up", "--version"]]
)
def test_commands_tell_it_and_not_djangos(arguments):
    said = output(sys.executable, "manage.py", *arguments, cwd=ROOT)
    assert said == f"Livermore {__version__}\n"


@pytest.mark.django_db
def test_metrics_carry_it(settings, client, redis):
    settings.LIVERMORE_METRICS_TOKEN = "a-token-of-thirty-two-characters"
    headers = {"Authorization": f"Bearer {settings.LIVERMORE_METRICS_TOKEN}"}
    said = client.get("/metrics", headers=headers).content.decode()
    assert f'livermore_build_info{{version="{__version__}"}} 1.0\n' in said


def test_the_package_and_the_changelog_have_the_same():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["dynamic"] == ["version"]
    source = project["tool"]["setuptools"]["dynamic"]["version"]
    assert source == {"attr": "livermore.__version__"}
    releases = re.findall(r"^## (\S+) - (\S+)$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert releases[0][0] == __version__
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", date) for _, date in releases)
    assert [date for _, date in releases] == sorted((date for _, date in releases), reverse=True)
