"""REST that refuses, bans, is gone or never answers."""

import socket

import pytest

from tests.warmup.harness.conftest import (
    WELL,
    failures,
    move,
    results,
    step_of,
)
from tests.warmup.harness.faults.told import PORT_OF_NOBODY, lines, pacer_for
from warmup.harness import facts
from warmup.harness.facts import NoAnswer, within

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("fault", "failed", "says"),
    [
        ({"kind": "status", "status": 451}, "clock", ["HTTP 451", "in a place that"]),
        (
            {"kind": "status", "status": 403},
            "clock",
            ["turned this address away", "HTTP 403", "leave it alone for some minutes"],
        ),
        ({"kind": "status", "status": 429}, "clock", ["HTTP 429", "wait a minute"]),
        ({"kind": "status", "status": 418, "retry_after": 60}, "clock", ["banned this address"]),
        ({"kind": "html200"}, "clock", ["something else than JSON", "curl -i http://127.0.0.1"]),
        (
            {"kind": "truncated", "cut": "json", "endpoint": "exchangeInfo"},
            "symbol",
            ["something else than JSON"],
        ),
        ({"kind": "bad_rows", "endpoint": "klines"}, "warmup", ["no usable candles: 1", "format"]),
        ({"kind": "status", "status": 500, "endpoint": "klines"}, "warmup", ["HTTP 500"]),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_rest_says_fails_where_it_is_said(sandbox, row, checked, fault, failed, says):
    sandbox.faults.add(**fault)
    report = checked(row)
    assert failures(report) == [failed]
    for each in says:
        assert each in lines(step_of(report, failed))
    # With the symbol that the database knows; but to who bans us nothing is sent at all.
    is_banned = fault.get("status") == 418
    assert results(report)["subscription"] == ("SKIP" if is_banned else "PASS")


def test_rest_that_is_gone_leaves_the_stream_to_be_tried(row, checked):
    report = checked(move(row, rest_url=f"http://127.0.0.1:{PORT_OF_NOBODY}"))
    skipped = {"symbol": "SKIP", "warmup": "SKIP", "keys": "SKIP", "limits": "SKIP"}
    assert results(report) == WELL | {"clock": "FAIL"} | skipped
    assert "cannot be reached: [Errno 111]" in lines(step_of(report, "clock"))
    assert step_of(report, "symbol").detail == "not tried, as this failed: clock"


def test_without_rest_and_a_listing_there_is_no_symbol_to_try(row, checked):
    row.symbols.all().delete()
    report = checked(move(row, rest_url=f"http://127.0.0.1:{PORT_OF_NOBODY}"))
    assert failures(report) == ["clock"]
    assert results(report)["subscription"] == "SKIP"


@pytest.mark.parametrize("body", ["status", "rate limits"])
def test_a_listing_that_means_nothing_stops_what_needs_one(sandbox, row, checked, body):
    if body == "status":
        sandbox.faults.add("status", status=404, endpoint="exchangeInfo")
    else:
        sandbox.faults.add("truncated", cut="json", endpoint="exchangeInfo")
    report = checked(row)
    assert "symbol" in failures(report)
    assert results(report)["warmup"] == "SKIP"
    assert results(report)["subscription"] == "PASS"


def test_within_a_ban_nothing_at_all_is_sent(redis, sandbox, row, checked):
    pacer_for(redis, row).ban(60)
    calls = sandbox.requests.counts.copy()
    report = checked(row)
    assert failures(report) == ["clock"]
    assert "banned this address until" in lines(step_of(report, "clock"))
    assert sandbox.requests.counts == calls
    assert sandbox.streams["binance"].connects == 0


def test_within_a_ban_encryption_is_neither_tried_nor_praised(redis, row, checked):
    row = move(row, rest_url=f"https://127.0.0.1:{PORT_OF_NOBODY}", ws_url="wss://127.0.0.1:9")
    pacer_for(redis, row).ban(60)
    report = checked(row)
    assert failures(report) == ["tls"]
    assert "banned this address until" in lines(step_of(report, "tls"))
    assert results(report)["subscription"] == results(report)["clock"] == "SKIP"


def test_a_pause_that_is_too_long_to_wait_for_is_told(sandbox, row, checked, monkeypatch):
    monkeypatch.setattr(facts, "ANSWER_SECONDS", 0.3)
    sandbox.faults.add("status", status=429, retry_after=60)
    report = checked(row)
    assert failures(report) == ["clock"]
    assert "asked for a pause (HTTP 429), of which " in lines(step_of(report, "clock"))


def test_pages_of_a_firewall_are_waited_for_no_longer_than_anything_else(
    sandbox, row, checked, monkeypatch
):
    monkeypatch.setattr(facts, "ANSWER_SECONDS", 0.5)
    sandbox.faults.add("status", status=403)
    step = step_of(checked(row), "clock")
    assert "turned this address away with a web page (HTTP 403)" in lines(step)
    assert step.seconds < 2


def test_one_page_of_a_firewall_fails_no_step(sandbox, row, checked):
    page = sandbox.faults.add("status", status=403, times=1)
    assert results(checked(row)) == WELL
    assert page.hits == 1


def test_an_exchange_that_never_answers_is_not_waited_for(sandbox, row, checked, monkeypatch):
    monkeypatch.setattr(facts, "ANSWER_SECONDS", 0.3)
    sandbox.faults.add("slow", seconds=3, times=1)
    report = checked(row)
    assert failures(report) == ["clock"]
    assert "gave no answer within 0.3 s" in lines(step_of(report, "clock"))


def test_what_takes_long_is_told_apart_from_what_fails():
    assert within(1, int, "7") == 7
    with pytest.raises(ValueError, match="seven"):
        within(1, int, "seven")
    with pytest.raises(NoAnswer):
        within(0.01, socket.create_server(("127.0.0.1", 0)).accept)

    def own():
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        within(1, own)
