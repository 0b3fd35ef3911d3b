"""Panels as Grafana reads them, of what `layout` says of them and the table of metrics."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tests.observe.layout import EIGHTH, WIDE, Query, Shown
from tests.observe.table import Row

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
CHOSEN = '{exchange=~"$exchange"}'
HEIGHT, LOW = 8, 4
RED, ORANGE, GREEN, BLUE, GREY = "red", "orange", "green", "blue", "#808080"
SIMPLE = r"{} ([<>]|==) ([\d.]+)"
NAME = re.compile(r"livermore_\w+")


def _steps(*steps: tuple[float | None, str]) -> dict[str, Any]:
    return {
        "mode": "absolute",
        "steps": [{"value": value, "color": color} for value, color in steps],
    }


def _words(**by_value: tuple[str, str]) -> list[dict[str, Any]]:
    options = {
        value.lstrip("_"): {"text": text, "color": color, "index": index}
        for index, (value, (text, color)) in enumerate(by_value.items())
    }
    return [{"type": "value", "options": options}]


LOOKS: dict[str, dict[str, Any]] = {  # of a panel's fieldConfig.defaults
    "": {},
    "none is good": {"thresholds": _steps((None, GREEN), (1, RED))},
    "none is better": {"thresholds": _steps((None, GREEN), (1, ORANGE))},
    "some are good": {"thresholds": _steps((None, RED), (1, GREEN))},
    "is up": {
        "thresholds": _steps((None, RED), (1, GREEN)),
        "mappings": _words(_0=("DOWN", RED), _1=("up", GREEN)),
    },
    "a name": {"thresholds": _steps((None, BLUE))},
    "wanted and up": {
        "thresholds": _steps((None, GREY)),
        "mappings": _words(
            _0=("not wanted", GREY), _1=("DOWN", RED), _2=("up, not wanted", BLUE), _3=("up", GREEN)
        ),
    },
    "fired": {"thresholds": _steps((None, RED)), "mappings": _words(_1=("fires", RED))},
    "a state": {"thresholds": _steps((None, BLUE)), "mappings": _words(_1=("is so", BLUE))},
    "alerts": {},
}
OPTIONS: dict[str, dict[str, Any]] = {  # by kind
    "timeseries": {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    "stat": {
        "colorMode": "background",
        "graphMode": "none",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    },
    "state-timeline": {"mergeValues": True, "showValue": "auto", "rowHeight": 0.9},
    "table": {"showHeader": True},
}
SHOWN_OF_ALERTS = ("alertname", "severity", "exchange", "host", "node")


def panel(shown: Shown, table: Mapping[str, Row], at: tuple[int, int], number: int) -> dict:
    """Return a panel; `at` is where its left upper corner is, of the grid."""
    rows = [table[each] for each in shown.queries if isinstance(each, str)]
    defaults = {"unit": shown.unit, **_limit(rows), **LOOKS[shown.look]}
    found = {
        "id": number,
        "type": shown.kind,
        "title": shown.title,
        "description": _description(shown, table),
        "datasource": SOURCE,
        "gridPos": {"x": at[0], "y": at[1], "w": shown.width, "h": height(shown)},
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": OPTIONS[shown.kind] | ({"textMode": "name"} if shown.look == "a name" else {}),
        "targets": list(_targets(shown, table)),
    }
    if shown.look == "alerts":
        found["transformations"] = [_only(*SHOWN_OF_ALERTS)]
    return found


def height(shown: Shown) -> int:
    """Return how high a panel is, in rows of the grid."""
    low = shown.width == EIGHTH or shown.width == WIDE
    return LOW if low else HEIGHT


def queries_of(row: Row) -> Iterator[Query]:
    """Yield how a metric is drawn where nobody said how, by its type."""
    chosen = CHOSEN if "exchange" in row.labels else ""
    legend = " ".join(f"{{{{{label}}}}}" for label in row.labels)
    by = ", ".join(row.labels)
    if row.kind == "histogram":
        rate = f"sum by (le, {by}) (rate({row.name}_bucket{chosen}[$__rate_interval]))"
        for share in ("0.5", "0.99"):
            yield Query(f"histogram_quantile({share}, {rate})", f"{legend} {float(share):.0%}")
    elif row.kind == "counter":
        yield Query(f"sum by ({by}) (rate({row.name}{chosen}[$__rate_interval]))", legend)
    else:
        yield Query(f"{row.name}{chosen}", legend)


def _targets(shown: Shown, table: Mapping[str, Row]) -> Iterator[dict[str, Any]]:
    several = len([each for each in shown.queries if isinstance(each, str)]) > 1
    queries: list[Query] = []
    for each in shown.queries:
        if isinstance(each, Query):
            queries.append(each)
            continue
        for query in queries_of(table[each]):
            what = each.removeprefix("livermore_").replace("_", " ")
            queries.append(Query(query[0], f"{what} {query[1]}".strip() if several else query[1]))
    for index, query in enumerate(queries):
        yield {
            "refId": chr(ord("A") + index),
            "datasource": SOURCE,
            "expr": query.expression,
            "legendFormat": query.legend or "__auto",
            **({"format": "table", "instant": True} if shown.kind == "table" else {"range": True}),
        }


def _description(shown: Shown, table: Mapping[str, Row]) -> str:
    """Return what a panel's metrics mean, by the table, and what is alerted of them."""
    texts = [each if isinstance(each, str) else each.expression for each in shown.queries]
    names = dict.fromkeys(name for text in texts for name in NAME.findall(text))
    return "\n\n".join(
        f"{row.name}: {row.meaning}." + (f" Alert: {row.alert.name}." if row.alert else "")
        for row in (table[name] for name in names)
    )


def _limit(rows: list[Row]) -> dict[str, Any]:
    """Return a line where the alert of the panel's only metric begins, if it is a plain number."""
    alerts = [row.alert for row in rows if row.alert]
    found = alerts and re.fullmatch(SIMPLE.format(rows[0].name), alerts[0].expression)
    if len(rows) != 1 or not found:
        return {}
    operator, limit = found[1], float(found[2])
    bad_above = _steps((None, GREEN), (limit if limit else 1, RED))
    bad_below = _steps((None, RED), (limit if operator == "<" else limit + 1, GREEN))
    is_above = operator == ">" or (operator == "==" and limit > 0)
    return {
        "thresholds": bad_above if is_above else bad_below,
        "custom": {"thresholdsStyle": {"mode": "line"}},
    }


def _only(*fields: str) -> dict[str, Any]:
    return {"id": "filterFieldsByName", "options": {"include": {"names": list(fields)}}}
