"""`./run experiments`: what it runs and writes."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.experiments.__main__ import main
from tests.experiments.document import Report, amend, render
from tests.experiments.outcome import Outcome
from tests.experiments.registry import EXPERIMENTS

ROOT = Path(__file__).resolve().parent.parent.parent
IN_PROCESS_OF_ITS_OWN = "ssrf"  # the others: test_experiments.py


def experiments(*arguments):
    command = [sys.executable, "-m", "tests.experiments", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)
    return done.returncode, done.stdout, done.stderr


def test_the_list_names_each(capsys):
    assert not main(["--list"])
    said = capsys.readouterr().out
    assert [line.split()[0] for line in said.splitlines()] == list(EXPERIMENTS)


def test_an_unknown_name_is_one_line_and_status_2():
    status, _, said = experiments("nonsense")
    assert (status, said.count("\n")) == (2, 1)
    assert "killed" in said


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("soak", "--soak-minutes", "0"), "'0' is not between 0 and"),
        (("soak", "--soak-minutes", "long"), "'long' is not between 0 and"),
        (("ssrf", "--document", "nowhere/found.md"), "nowhere/found.md can't be written"),
        (("ssrf", "--document", "."), ". can't be written"),
        (("ssrf", "--amend", "--document", "none.md"), "none.md is not there to be amended"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_tried(capsys, arguments, says):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    said = capsys.readouterr()
    assert (ended.value.code, said.out) == (2, "")
    assert says in said.err.splitlines()[-1]


def test_one_is_run_and_written_down(capsys, tmp_path):
    document = tmp_path / "experiments.md"
    name = IN_PROCESS_OF_ITS_OWN
    status = main([name, "--quick", "--document", str(document)])
    said, error = capsys.readouterr()
    assert status == 0, said + error
    assert said.startswith(f"{name}: holds (")
    text = document.read_text()
    assert f"by\n`./run experiments {name} --quick --document FILE`" in text
    assert "| commit | " in text
    assert str(ROOT) not in text
    assert f"\n## {name}\n" in text
    assert "nothing that breaks the promise" in text


def test_the_document_tells_of_what_failed():
    broken = Outcome("It was tried.", {"tries": 1200}, ["<b>two | holders</b>"])
    reports = [Report("lock", 100, broken), Report("soak", 3, None, "it ended with 1\nBoom")]
    text = render(reports, "./run experiments", "c0ffee, with changes that are not in it")
    assert "| commit | c0ffee, with changes that are not in it |" in text
    assert "| **does not hold** | 1.7 min |" in text
    assert "\n- \\<b\\>two \\| holders\\</b\\>\n" in text
    assert "| tries | 1,200 |" in text
    assert "| **did not come to its end** | 3 s |" in text
    assert "It did not come to its end: it ended with 1 Boom" in text


def test_one_experiment_is_made_new_in_a_document_and_the_others_stay():
    names = list(EXPERIMENTS)
    reports = [Report(name, 1, Outcome(f"{name} tried.", {}, [])) for name in names]
    whole = render(reports, "./run experiments", "c0ffee")
    news = [Report(names[2], 100, Outcome("Tried again.", {"tries": 7}, ["it broke"]))]
    for before in (whole, render(reports[:2] + reports[3:], "./run experiments", "c0ffee")):
        text = amend(before, news, f"./run experiments {names[2]} --amend", "beef")
        assert re.findall("^## (.+)$", text, re.M) == names
        assert re.findall(r"^\| \[(\w+)\]", text, re.M) == names
        assert "| commit | c0ffee |" in text
        assert "Tried again." in text
        assert f"{names[2]} tried." not in text
        assert re.search(
            rf"\*\*Tried.\*\* At beef, .* by `./run experiments {names[2]} --amend`", text
        )
        assert f"## {names[3]}\n" in text and f"{names[3]} tried." in text
        again = amend(text, news, f"./run experiments {names[2]} --amend", "beef")
        assert again == text


def test_the_document_shows_the_first_of_many_faults_and_no_folder():
    faults = [f"{number}: {'x' * 1000}" for number in range(50)]
    faults[0] = f'File "{ROOT}/manage.py" of https://host/api'
    died = Report("soak", 3, None, f'it ended with 1\nFile "{ROOT}/manage.py", line 7')
    text = render([Report("lock", 1, Outcome("Tried.", {}, faults)), died], "./run", "c0ffee")
    assert '\n- File "manage.py" of https://host/api\n' in text
    assert "\n- and 30 more\n" in text
    assert 'File "manage.py", line 7' in text
    assert "x" * 501 not in text


def test_one_that_does_not_come_to_its_end_makes_the_exit_status_1(monkeypatch, capsys):
    monkeypatch.setitem(EXPERIMENTS, "nonsense", "there is no such module")
    assert main(["nonsense"]) == 1
    said = capsys.readouterr().out
    assert said.startswith("nonsense: did not come to its end (")
    assert "No module named 'tests.experiments.promises.nonsense'" in said


def test_the_document_tells_of_each():
    sections = re.findall("^## (.+)$", (ROOT / "docs" / "experiments.md").read_text(), re.M)
    assert sections == list(EXPERIMENTS)
