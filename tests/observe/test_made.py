"""What is made from the table of metrics: up to date, whole, and understood by Prometheus."""

import re

import pytest
import yaml

from livermore.documents.views import read_document
from tests.observe import alert_rules, dashboard
from tests.observe.__main__ import MADE, is_current
from tests.observe.dashboard import rows_of
from tests.observe.panels import NAME
from tests.observe.promtool import promtool
from tests.observe.table import OPERATIONS, Alert, read_table, runbooks
from tests.test_run import ROOT

TABLE = read_table()
ALERTS = [row.alert for row in TABLE.values() if row.alert]
SUFFIXES = ("_bucket", "_sum", "_count")  # of a histogram's series
PROMETHEUS = ROOT / "deploy/prometheus"
VARIABLES = {"$exchange": ".*", "$__rate_interval": "5m"}


def panels():
    found = dashboard.dashboard(TABLE)["panels"]
    return [each for each in found if each["type"] != "row"]


def expressions():
    return [target["expr"] for panel in panels() for target in panel["targets"]]


def metrics_in(expression):
    """Return the names of the metrics in an expression, as the table has them."""
    return {
        next((name.removesuffix(end) for end in SUFFIXES if name.removesuffix(end) in TABLE), name)
        for name in NAME.findall(expression)
    }


@pytest.mark.parametrize("made", MADE, ids=lambda module: module.PATH.name)
def test_it_is_up_to_date(made):
    assert is_current(made), "`python -m tests.observe --write` brings it there"


def test_every_row_of_the_document_is_read():
    text = (ROOT / "docs/metrics.md").read_text()
    assert len(TABLE) == len(re.findall(r"^\| `livermore_", text, re.M)) > 60


def test_every_alert_has_a_name_of_its_own_and_is_answered():
    names = [alert.name for alert in ALERTS]
    assert len(names) == len(set(names)) > 40
    assert runbooks().keys() == set(names)
    anchors = {heading.anchor for heading in read_document(OPERATIONS).headings}
    assert set(runbooks().values()) <= anchors


def test_an_alert_that_can_not_be_read_is_told():
    with pytest.raises(ValueError, match="livermore_a: no alert is written as 'above 3'"):
        Alert.from_cell("livermore_a", "above 3")


def test_an_alert_names_its_metric_by_an_ellipsis_or_not_at_all():
    short = Alert.from_cell("livermore_a", "critical `LivermoreA`: `> 0` for 5m; see `log`")
    assert short == Alert("LivermoreA", "critical", "livermore_a > 0", "5m", "see log")
    other = Alert.from_cell("livermore_a", "warning `LivermoreB`: `rate(…[5m]) > 1`")
    assert (other.expression, other.lasting) == ("rate(livermore_a[5m]) > 1", "")


def test_every_expression_asks_for_metrics_that_there_are():
    for expression in (*expressions(), *(alert.expression for alert in ALERTS)):
        assert metrics_in(expression) <= TABLE.keys(), expression
        assert metrics_in(expression) or "ALERTS" in expression, expression


def test_every_metric_is_on_the_dashboard():
    shown = set().union(*map(metrics_in, expressions()))
    assert shown == TABLE.keys()
    assert dashboard.REST_OF_ALL not in rows_of(TABLE), "give them a place in tests/observe/layout"


def test_no_two_panels_lie_on_each_other():
    taken = set()
    for panel in dashboard.dashboard(TABLE)["panels"]:
        at = panel["gridPos"]
        fields = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not fields & taken and at["x"] + at["w"] <= dashboard.WIDE, panel["title"]
        taken |= fields
    numbers = [panel["id"] for panel in dashboard.dashboard(TABLE)["panels"]]
    assert len(numbers) == len(set(numbers))


def test_prometheus_understands_what_grafana_asks(tmp_path):
    rules = []
    for number, text in enumerate(expressions()):
        for variable, value in VARIABLES.items():
            text = text.replace(variable, value)
        rules.append({"record": f"panel:{number}", "expr": text})
    path = tmp_path / "panels.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    assert f"{len(rules)} rules found" in promtool("check", "rules", path)


def test_prometheus_understands_the_rules_and_what_it_is_told():
    assert f"{len(ALERTS)} rules found" in promtool("check", "rules", alert_rules.PATH)
    promtool("check", "config", "--syntax-only", PROMETHEUS / "prometheus.yml")


def test_each_rule_rings_where_it_should_and_nowhere_else():
    paths = sorted(PROMETHEUS.glob("*.test.yml"))
    rung = {name for path in paths for name in re.findall(r'alertname="(\w+)"', path.read_text())}
    assert rung == {alert.name for alert in ALERTS}
    assert promtool("test", "rules", *paths).count("SUCCESS") == len(paths)
