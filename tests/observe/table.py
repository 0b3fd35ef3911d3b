"""The table of metrics in docs/metrics.md, and where docs/operations.md answers each alert."""

import re
from dataclasses import dataclass

from tests.test_run import ROOT

METRICS = ROOT / "docs/metrics.md"
OPERATIONS = ROOT / "docs/operations.md"
ALERTS = "## Alerts\n"
OWN = "…"  # in an expression: the metric's own name
ROW = re.compile(r"^\| `(livermore_\w+)` \| (\w+) \|([^|]*)\| (.*) \| ?(.*?) ?\|$", re.MULTILINE)
# What stands in the last column: `critical `Name`: `expression` for 5m; a remark`.
ALERT = re.compile(r"(critical|warning) `(Livermore\w+)`: `([^`]+)`(?: for (\d+[mh]))?(?:; (.+))?")
COMPARED = re.compile(r"(?:==|<|>) \d")
LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")


@dataclass(frozen=True, slots=True)
class Alert:
    """When somebody is to be told. `expression` is PromQL, `lasting` a duration or empty."""

    name: str
    severity: str
    expression: str
    lasting: str
    remark: str

    @classmethod
    def from_cell(cls, metric: str, text: str) -> "Alert":
        """Return what a cell of the table says; ValueError where it can't be read."""
        found = ALERT.fullmatch(text)
        if found is None:
            raise ValueError(f"{metric}: no alert is written as {text!r}; see {ALERT.pattern}")
        severity, name, short, lasting, remark = found.groups(default="")
        expression = f"{OWN} {short}" if COMPARED.match(short) else short
        return cls(name, severity, expression.replace(OWN, metric), lasting, plain(remark))


@dataclass(frozen=True, slots=True)
class Row:
    """A metric: its type as Prometheus names it, its labels, what it means, when to be alerted."""

    name: str
    kind: str
    labels: tuple[str, ...]
    meaning: str
    alert: Alert | None


def read_table() -> dict[str, Row]:
    """Return every metric by its name, in the order of the document."""
    rows = {}
    for name, kind, labels, meaning, told in ROW.findall(METRICS.read_text(encoding="utf-8")):
        alert = Alert.from_cell(name, told) if told else None
        rows[name] = Row(name, kind, tuple(labels.replace(",", "").split()), plain(meaning), alert)
    return rows


def runbooks() -> dict[str, str]:
    """Return the anchor in docs/operations.md at which each alert is answered, by its name."""
    _, _, text = OPERATIONS.read_text(encoding="utf-8").partition(ALERTS)
    text = re.split(r"^## ", text, maxsplit=1, flags=re.MULTILINE)[0]
    found = {}
    for part in re.split(r"^### ", text, flags=re.MULTILINE)[1:]:
        heading, _, answers = part.partition("\n")
        first_cells = "".join(re.findall(r"^\|([^|]*)\|", answers, re.MULTILINE))
        found |= dict.fromkeys(re.findall(r"`(Livermore\w+)`", first_cells), anchor_of(heading))
    return found


def anchor_of(heading: str) -> str:
    """Return the anchor of a heading of letters and blanks."""
    return re.sub(r"[^\w ]", "", heading.lower()).replace(" ", "-")


def plain(text: str) -> str:
    """Return a text of the document without what is only form."""
    return LINK.sub(r"\1", text).replace("`", "").strip()
