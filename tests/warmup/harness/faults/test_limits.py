"""Rate limits that a row exceeds or that make no sense."""

import pytest

from exchanges.models import Exchange
from exchanges.rest.pacing.budget import Limits
from tests.warmup.harness.conftest import (
    WELL,
    failures,
    move,
    results,
    row_of,
    step_of,
)
from tests.warmup.harness.faults.told import lines

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("name", "values", "says"),
    [
        ("sandbox", {"pacing": "batch", "batch_delay_ms": 0}, "may use inf"),
        ("sandbox", {"pacing": "batch", "batch_size": 50, "batch_delay_ms": 1000}, "may use 6000"),
        ("coinbase", {"batch_size": 11, "batch_delay_ms": 1000}, "batches make 11 at most"),
    ],
)
def test_a_row_that_may_be_faster_than_allowed_fails(sandbox, checked, name, values, says):
    report = checked(move(row_of(sandbox, name), **values))
    assert failures(report) == ["limits"]
    assert says in lines(step_of(report, "limits"))
    assert name in step_of(report, "limits").remedy


def test_batches_that_keep_the_weight_but_not_the_requests_fail(row, checked, monkeypatch):
    published = Limits(weight_per_minute=6000, requests_per_5_minutes=1800)
    monkeypatch.setattr("exchanges.klines.rest.read_limits", lambda body: published)
    report = checked(move(row, pacing="batch", batch_size=5, batch_delay_ms=1000))
    assert failures(report) == ["limits"]
    assert "may use 600 and 1500" in lines(step_of(report, "limits"))


def test_limits_that_make_no_sense_are_replaced_by_cautious_ones(sandbox, row, checked):
    sandbox.faults.add("limits", way="zero")
    report = checked(row)
    assert results(report) == WELL
    step = step_of(report, "limits")
    assert "makes sense is published; assumed: 1200 weight in a minute, 5000" in step.detail
    assert "stays below 960" in step.detail
    report = checked(move(row, pacing="batch", batch_size=10, batch_delay_ms=1000))
    assert failures(report) == ["limits"]


def test_a_call_that_our_own_pacing_keeps_waiting_is_no_fault_of_the_exchange(
    sandbox, row, checked, monkeypatch
):
    monkeypatch.setattr("warmup.harness.facts.ANSWER_SECONDS", 0.5)
    report = checked(move(row, pacing="batch", batch_size=1, batch_delay_ms=60_000))
    (failed,) = failures(report)
    step = step_of(report, failed)
    assert "was not asked for 0.5 s: other calls of ours had its turns" in step.detail
    assert "let what else of ours calls it end" in step.remedy
    assert results(report)["limits"] == "SKIP"


def test_limits_are_told_as_they_are_published(sandbox, row, checked):
    step = step_of(checked(row), "limits")
    assert "published: 6000 weight in a minute, 300000 requests in five" in step.detail
    assert "stays below 4800" in step.detail
    move(row, pacing=Exchange.Pacing.BATCH, batch_delay_ms=1000)
    step = step_of(checked(row), "limits")
    assert step.detail.endswith("use 600 at most (its preset has pacing weight)")
