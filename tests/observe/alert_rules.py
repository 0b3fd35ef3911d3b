"""deploy/prometheus/livermore.rules.yml: an alert for each metric that has one in the table."""

import re

import yaml

from tests.observe.table import Alert, Row, read_table, runbooks
from tests.test_run import ROOT

PATH = ROOT / "deploy/prometheus/livermore.rules.yml"
HEAD = """\
# Made from the table in docs/metrics.md by `python -m tests.observe --write`: change that one.
#
# A runbook_url begins with the label `livermore` of Prometheus's external_labels, which is the
# address of the web server: deploy/prometheus/prometheus.yml.
"""
ADDRESS = "{{ $externalLabels.livermore }}/docs/operations/"
NAMED = ("exchange", "host", "node")  # the labels that a summary begins with
WIDEST = 10_000  # a line is never broken


def written() -> str:
    """Return the file as it should be."""
    anchors = runbooks()
    rows = [row for row in read_table().values() if row.alert]
    rules = [_rule(row, row.alert, anchors[row.alert.name]) for row in rows if row.alert]
    found = {"groups": [{"name": "livermore", "rules": rules}]}
    return HEAD + yaml.safe_dump(found, sort_keys=False, allow_unicode=True, width=WIDEST)


def _rule(row: Row, alert: Alert, anchor: str) -> dict:
    which = "".join(
        f"{{{{ with $labels.{label} }}}}{{{{ . }}}}: {{{{ end }}}}"
        for label in row.labels
        if label in NAMED
    )
    told = [f"{row.name}: {row.meaning}.", "Now {{ $value | humanize }}.", _sentence(alert.remark)]
    return {
        "alert": alert.name,
        "expr": alert.expression,
        **({"for": alert.lasting} if alert.lasting else {}),
        "labels": {"severity": alert.severity, "service": "livermore"},
        "annotations": {
            "summary": which + words_of(alert.name),
            "description": " ".join(filter(None, told)),
            "runbook_url": f"{ADDRESS}#{anchor}",
        },
    }


def _sentence(remark: str) -> str:
    ended = remark if remark.endswith("?") or not remark else f"{remark}."
    return ended[:1].upper() + ended[1:]


def words_of(name: str) -> str:
    """Return an alert's name as words: *no connection* of `LivermoreNoConnection`."""
    words = re.findall(r"[A-Z][a-z]+", name.removeprefix("Livermore"))
    return " ".join(words).lower().replace("redis", "Redis")
