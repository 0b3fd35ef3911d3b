"""The document that a run of the experiments writes."""

import ast
import os
import platform
import re
import shutil
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tests.experiments.outcome import Number, Outcome
from tests.experiments.registry import EXPERIMENTS, path_of

ROOT = Path(__file__).resolve().parent.parent.parent
FAULTS_SHOWN = 20  # of an experiment: what is wrong all the time would fill the document
LONGEST_FAULT = 500
FOLDERS = re.compile(r"(?<![\w:/.])/(?:[^\s/\"':]+/)+")  # of a file, on whatever machine this ran


@dataclass(frozen=True, slots=True)
class Report:
    """What came of one experiment: an outcome, or the error that ended it."""

    name: str
    seconds: float
    outcome: Outcome | None
    error: str = ""

    @property
    def verdict(self) -> str:
        """Return whether its promise holds, in words."""
        if self.outcome is None:
            return "did not come to its end"
        return "does not hold" if self.outcome.faults else "holds"

    @property
    def holds(self) -> bool:
        return self.verdict == "holds"


def promise(name: str) -> list[str]:
    """Return the paragraphs of an experiment's docstring, the first of them what is promised."""
    source = path_of(name).read_text()
    text = ast.get_docstring(ast.parse(source)) or ""
    return [" ".join(paragraph.split()) for paragraph in text.split("\n\n")]


def render(reports: list[Report], command: str, commit: str) -> str:
    """Return the whole document; `commit` is what was tried."""
    return "\n".join([_head(reports, command, commit), *map(_section, reports)]).rstrip() + "\n"


def amend(text: str, reports: list[Report], command: str, commit: str) -> str:
    """Return the document `text` with these experiments made new, each with when it was tried.

    The others' parts stay as they are.
    """
    head, *sections = text.split("\n## ")
    lines = head.splitlines()
    rows = {found[1]: line for line in lines if (found := re.match(r"\| \[(\w+)\]\(#", line))}
    kept = [line for line in lines if line not in rows.values()]
    parts = {part.split("\n", 1)[0]: f"## {part}".rstrip() for part in sections}
    tried = f"**Tried.** At {commit}, {_now()}, by `{command}`."
    rows |= {report.name: _row(report) for report in reports}
    parts |= {report.name: _section(report, tried).rstrip() for report in reports}
    table = [rows[name] for name in EXPERIMENTS if name in rows]
    body = [parts[name] for name in EXPERIMENTS if name in parts]
    return "\n\n".join(["\n".join([*kept, *table]), *body]) + "\n"


def faults_shown(outcome: Outcome) -> list[str]:
    """Return the first faults, each cut to a length that can be read, and how many more there are.

    Without folders: where this machine keeps its files is nobody's business.
    """
    shown = [FOLDERS.sub("", fault) for fault in outcome.faults[:FAULTS_SHOWN]]
    shown = [f"{text[:LONGEST_FAULT]} …" if len(text) > LONGEST_FAULT else text for text in shown]
    more = len(outcome.faults) - len(shown)
    return [*shown, f"and {more:,} more"] if more else shown


def duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.1f} min"


def tried_commit() -> str:
    """Return what is checked out now, and whether something was changed since."""
    commit = _git("rev-parse", "HEAD")
    changed = _git("status", "--porcelain", "--", ".", ":!docs/experiments.md")
    if not commit:
        return "unknown: no checkout of git"
    return f"{commit}, with changes that are not in it" if changed else commit


def _head(reports: list[Report], command: str, commit: str) -> str:
    total = duration(sum(report.seconds for report in reports))
    rows = "\n".join(map(_row, reports))
    return f"""# Experiments

What Livermore promises, tried where it would break if it were not so. This document was written by
`{command}`, in {total}; the same command tries it again and writes it anew.
`./run experiments --list` names the experiments, `./run experiments NAME` runs one, and
[tests/experiments/promises](../tests/experiments/promises) is what they do. Each has a process, a
Redis and a database of its own, and calls nothing beyond this machine, but for `freqtrade`, which
installs that program from the package index.

| run | |
|---|---|
| commit | {commit} |
| date | {_now()} |
| machine | {os.cpu_count()} cores, {platform.system()} {platform.machine()} |
| Python | {platform.python_version()} |

| experiment | promise | seen | took |
|---|---|---|---|
{rows}
"""


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"


def _row(report: Report) -> str:
    seen = report.verdict if report.holds else f"**{report.verdict}**"
    link = f"[{report.name}](#{report.name})"
    return f"| {link} | {promise(report.name)[0]} | {seen} | {duration(report.seconds)} |"


def _section(report: Report, tried: str = "") -> str:
    first, *more = promise(report.name)
    parts = [f"## {report.name}", f"**Promise.** {first}", tried, *_found(report), *more]
    return "\n\n".join(filter(None, parts)) + "\n"


def _found(report: Report) -> list[str]:
    outcome = report.outcome
    if outcome is None:
        error = FOLDERS.sub("", report.error)
        return [f"**Seen.** It did not come to its end: {_cell(error)}"]
    seen = "nothing that breaks the promise." if report.holds else "what breaks the promise:"
    numbers = "\n".join(
        f"| {_cell(what)} | {_text(value)} |" for what, value in outcome.numbers.items()
    )
    return [
        f"**Done.** {outcome.did}",
        f"**Seen.** In {duration(report.seconds)}: {seen}",
        *(["\n".join(f"- {_cell(text)}" for text in faults_shown(outcome))] * (not report.holds)),
        f"| figure | |\n|---|---|\n{numbers}",
    ]


def _text(value: Number) -> str:
    if isinstance(value, str):
        return _cell(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.3g}"


def _cell(text: str) -> str:
    """Return a text that can't end a cell or begin a tag."""
    return " ".join(re.sub(r"([|<>*])", r"\\\1", text).split())


def _git(*arguments: str) -> str:
    git = shutil.which("git")
    if git is None:
        return ""
    return subprocess.run(
        [git, *arguments], cwd=ROOT, capture_output=True, text=True
    ).stdout.strip()
