"""deploy/grafana/livermore.json: a dashboard of every metric of the table, once at least."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tests.observe.layout import REST_OF_ALL, ROWS, WIDE, Shown
from tests.observe.panels import NAME, SOURCE, height, panel
from tests.observe.table import Row, read_table
from tests.test_run import ROOT

PATH = ROOT / "deploy/grafana/livermore.json"
SCHEMA_VERSION = 39  # of Grafana 10 and newer
DESCRIPTION = (
    "Made from the table in docs/metrics.md by `python -m tests.observe --write`: change that one."
)
OF_ALERTS = "livermore_alert"  # how the names of metrics begin that tell of our own alerts
OUR_ADDRESS = "http://127.0.0.1:8000"


def written() -> str:
    """Return the file as it should be."""
    return json.dumps(dashboard(read_table()), indent=1, ensure_ascii=False) + "\n"


def dashboard(table: Mapping[str, Row]) -> dict[str, Any]:
    """Return the dashboard of a table of metrics."""
    return {
        "uid": "livermore",
        "title": "Livermore",
        "description": DESCRIPTION,
        "tags": ["livermore"],
        "schemaVersion": SCHEMA_VERSION,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "timezone": "utc",
        "time": {"from": "now-12h", "to": "now"},
        "templating": {"list": [_source(), _exchange(), _address()]},
        "annotations": {"list": [_changes()]},
        "links": [
            _link("The Network page", "/admin/network/"),
            _link("What to do at three in the morning", "/docs/operations/"),
        ],
        "panels": list(_panels(table)),
    }


def rows_of(table: Mapping[str, Row]) -> dict[str, tuple[Shown, ...]]:
    """Return what the dashboard shows; a metric that nothing has a place for, at the end."""
    texts = [
        each if isinstance(each, str) else each.expression
        for row in ROWS.values()
        for shown in row
        for each in shown.queries
    ]
    placed = {name for text in texts for name in NAME.findall(text)}
    others = [name for name in table if name not in placed]
    rows = dict(ROWS)
    for name in others:
        row = "Alerts" if name.startswith(OF_ALERTS) else REST_OF_ALL
        rows[row] = (*rows.get(row, ()), Shown(words_of(name), (name,)))
    return rows


def words_of(name: str) -> str:
    """Return a metric's name as a title."""
    return name.removeprefix("livermore_").replace("_", " ").capitalize()


def _panels(table: Mapping[str, Row]) -> Iterator[dict[str, Any]]:
    number, y = 0, 0
    for title, row in rows_of(table).items():
        number += 1
        yield {
            "id": number,
            "type": "row",
            "title": title,
            "collapsed": False,
            "panels": [],
            "gridPos": {"x": 0, "y": y, "w": WIDE, "h": 1},
        }
        x, y, highest = 0, y + 1, 0
        for shown in row:
            number += 1
            if x + shown.width > WIDE:
                x, y, highest = 0, y + highest, 0
            yield panel(shown, table, (x, y), number)
            x, highest = x + shown.width, max(highest, height(shown))
        y += highest


def _source() -> dict[str, Any]:
    return {"name": "datasource", "label": "Prometheus", "type": "datasource",
            "query": "prometheus"}  # fmt: skip


def _exchange() -> dict[str, Any]:
    query = "label_values(livermore_exchange_wanted, exchange)"
    return {
        "name": "exchange",
        "label": "Exchange",
        "type": "query",
        "datasource": SOURCE,
        "definition": query,
        "query": {"query": query, "refId": "exchanges"},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def _address() -> dict[str, Any]:
    return {
        "name": "livermore",
        "label": "Livermore at",
        "type": "textbox",
        "query": OUR_ADDRESS,
        "current": {"text": OUR_ADDRESS, "value": OUR_ADDRESS},
    }


def _changes() -> dict[str, Any]:
    """Return a mark in all panels wherever an exchange gets another holder."""
    return {
        "name": "Another holder",
        "datasource": SOURCE,
        "enable": True,
        "iconColor": "orange",
        "expr": 'changes(livermore_lock_epoch{exchange=~"$exchange"}[1m]) > 0',
        "step": "60s",
        "titleFormat": "{{exchange}}: another holder",
    }


def _link(title: str, path: str) -> dict[str, Any]:
    return {"title": title, "type": "link", "url": f"${{livermore}}{path}", "targetBlank": True}
