"""`./run experiments`: what it runs and writes."""

import re
import subprocess
import sys
from pathlib import Path

from tests.experiments.document import Report, render
from tests.experiments.outcome import Outcome
from tests.experiments.registry import EXPERIMENTS

ROOT = Path(__file__).resolve().parent.parent.parent
IN_PROCESS_OF_ITS_OWN = "ssrf"  # the others: test_experiments.py


def experiments(*arguments):
    command = [sys.executable, "-m", "tests.experiments", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)
    return done.returncode, done.stdout, done.stderr


def test_the_list_names_each():
    status, said, _ = experiments("--list")
    assert status == 0
    assert [line.split()[0] for line in said.splitlines()] == list(EXPERIMENTS)


def test_an_unknown_name_is_one_line_and_status_2():
    status, _, said = experiments("nonsense")
    assert (status, said.count("\n")) == (2, 1)
    assert "killed" in said


def test_one_is_run_and_written_down(tmp_path):
    document = tmp_path / "experiments.md"
    name = IN_PROCESS_OF_ITS_OWN
    status, said, error = experiments(name, "--quick", "--document", str(document))
    assert status == 0, said + error
    assert said.startswith(f"{name}: holds (")
    text = document.read_text()
    assert f"by\n`./run experiments {name} --quick`" in text
    assert f"\n## {name}\n" in text
    assert "nothing that breaks the promise" in text


def test_the_document_tells_of_what_failed():
    broken = Outcome("It was tried.", {"tries": 1200}, ["<b>two | holders</b>"])
    reports = [Report("lock", 100, broken), Report("soak", 3, None, "it ended with 1\nBoom")]
    text = render(reports, "./run experiments")
    assert "| **does not hold** | 1.7 min |" in text
    assert "\n- \\<b\\>two \\| holders\\</b\\>\n" in text
    assert "| tries | 1,200 |" in text
    assert "| **did not come to its end** | 3 s |" in text
    assert "It did not come to its end: it ended with 1 Boom" in text


def test_the_document_tells_of_each():
    sections = re.findall("^## (.+)$", (ROOT / "docs" / "experiments.md").read_text(), re.M)
    assert sections == list(EXPERIMENTS)
