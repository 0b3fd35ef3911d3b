"""How many alerts are open: a number where somebody looked, else why nobody knows."""

from django.db import OperationalError

from alerts.models import AlertProgress
from alerts.page.summary import AWAY, NOBODY_YET, read_summary
from tests.alerts.page.conftest import alert


def test_open_ones_are_counted_and_none_is_a_number_too(row, looked):
    assert read_summary() == {"open": 0, "why": ""}
    alert(row)
    alert(row, over=1)
    assert read_summary() == {"open": 1, "why": ""}


def test_where_nobody_evaluates_no_number_is_told(row, looked):
    alert(row)
    looked(seconds=90)
    found = read_summary()
    assert found["open"] is None
    assert found["why"].startswith("nobody has evaluated alerts since 20")
    AlertProgress.objects.all().delete()
    assert read_summary() == {"open": None, "why": NOBODY_YET}


def test_without_a_database_no_number_is_told(db, monkeypatch):
    def fail():
        raise OperationalError("gone")

    monkeypatch.setattr("alerts.page.summary.why_not_known", fail)
    assert read_summary() == {"open": None, "why": AWAY}
