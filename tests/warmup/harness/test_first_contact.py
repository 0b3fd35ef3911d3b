"""First contact: what is unsure is asked, and told so that it can be sent to others."""

import json
import re
from dataclasses import replace
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from exchanges.contact import asking, usual, watching
from exchanges.contact import contact as contact_module
from exchanges.contact.fact import Answer, UnsureFact
from exchanges.errors import BadPayload, Banned
from exchanges.venues import VENUES
from livermore.command import UsageError
from tests.warmup.runners import ROOT
from warmup.harness import ExchangeCheck, first_contact
from warmup.harness.contact_report import ContactReport, Finding
from warmup.harness.first_contact import FirstContact
from warmup.harness.report import CheckReport, Result, Step

pytestmark = pytest.mark.django_db(transaction=True)


def fact(name="one", answer=None, error=None):
    def ask(contact):
        if error:
            raise error
        return answer or Answer(f"{contact.symbol} it is", True, {"count": 1})

    return UnsureFact(name, "Is it?", "It is.", ask)


@pytest.fixture
def ask(redis, row, monkeypatch):
    """Return what makes contact over these facts alone."""

    def ask(*facts, passed=True, row=row):
        monkeypatch.setattr(first_contact, "USUAL", ())
        venue = replace(VENUES[row.venue], unsure=facts)
        monkeypatch.setitem(VENUES, row.venue, venue)
        check = CheckReport(row.name, row.pk, "BTC-USD")
        result = Result.PASS if passed else Result.FAIL
        check.steps.append(Step("symbol", "symbol", result, 0.0, "found on 10.1.2.3"))
        return FirstContact(redis, row, minutes=1).run(check)

    return ask


def test_what_is_asked_is_told_with_what_was_assumed(ask):
    report = ask(fact(), fact("two", Answer("it is not", False)), fact("three", Answer("?", None)))
    found = {each["name"]: each for each in report.as_json()["findings"]}
    assert found["one"]["verdict"] == "as assumed"
    assert (found["one"]["text"], found["one"]["seen"]) == ("BTC-USD it is", {"count": 1})
    assert found["two"]["verdict"] == "NOT as assumed"
    assert found["three"]["verdict"] == "undecided"
    assert [each.fact.name for each in report.surprises] == ["two"]
    assert "two: NOT as assumed\n  Is it?\n  assumed: It is.\n  seen: it is not" in report.as_text()


def test_a_question_that_fails_costs_its_own_answer(ask):
    report = ask(
        fact(error=BadPayload("no JSON")), fact("two", error=KeyError("ours")), fact("three")
    )
    told = [each["text"] for each in report.as_json()["findings"]]
    assert told[0] == "no JSON"
    assert told[1].startswith("a fault of ours")
    assert report.findings[2].verdict == "as assumed"


def test_nothing_more_is_asked_of_an_exchange_that_bans(ask):
    report = ask(fact(error=Banned("banned until noon", 1)), fact("two"))
    why, left = (each.text for each in report.findings)
    assert "banned until noon" in why
    assert left == f"not asked: {why}"


def test_nothing_is_asked_where_the_check_did_not_get_so_far(ask, sandbox):
    before = sandbox.requests.counts.copy()
    report = ask(fact(), passed=False)
    assert report.findings[0].text.startswith("not asked: ")
    assert sandbox.requests.counts == before


@pytest.mark.parametrize(
    "said",
    [
        "IP(93.184.216.34) is banned",
        "from 2001:db8::8a2e:370:7334 too often",
        "from 93.184.216.34:4711, and 2001:db8::1.",
        "the proxy corp-proxy.example hung up",
        "https://my-mirror.example/klines said no",
    ],
)
def test_addresses_of_people_are_left_out(ask, row, said):
    report = ask(fact(answer=Answer(said, True, {"words": [said]})))
    report.exchange = replace_row(row)
    told = report.as_text() + json.dumps(report.as_json())
    for private in ("93.184.216.34", "2001:db8", "corp-proxy", "my-mirror", "10.1.2.3", row.name):
        assert private not in told, told


def replace_row(row):
    row.proxy, row.rest_url = "http://corp-proxy.example:3128", "https://my-mirror.example"
    row.name = "of-ada"
    return row


def test_times_and_versions_are_no_addresses(ask):
    said = "at 12:30:59 rows 1.2.3 of 2026-11-29T12:30:59Z, candle.1m, 1:2"
    assert ask(fact(answer=Answer(said, True))).as_json()["findings"][0]["text"] == said


def test_minutes_have_bounds(redis, row):
    with pytest.raises(ValueError, match="minutes is 1 to 120, not 0"):
        FirstContact(redis, row, 0)


@pytest.fixture
def fast(short_timeouts, monkeypatch):
    for module, name, value in (
        (usual, "SECONDS_BETWEEN_LOOKS", 0.01),
        (contact_module, "CLOCK_SECONDS", 0.02),
        (watching, "CLOCK_SECONDS", 0.02),
        (asking, "LISTEN_SECONDS", 0.2),
    ):
        monkeypatch.setattr(module, name, value)


def test_a_command_writes_both_forms(redis, row, fast, tmp_path):
    output, path = StringIO(), tmp_path / "found.json"
    arguments = ["sandbox", "--seconds", "1", "--minutes", "2", "--report", str(path)]
    call_command("check_exchange", *arguments, stdout=output, stderr=StringIO())
    told = json.loads(path.read_text())
    assert (told["venue"], told["preset"], told["symbol"]) == ("binance", None, "BTC-USD")
    assert told["check"]["warmup"] == "PASS"
    names = [each["name"] for each in told["findings"]]
    assert names == [each.name for each in usual.USUAL]
    verdicts = {each["name"]: each["verdict"] for each in told["findings"]}
    assert verdicts["quiet_rows"] == verdicts["days"] == verdicts["newest"] == "as assumed"
    text = (tmp_path / "found.json.txt").read_text()
    assert text.startswith("First contact with Binance, ")
    assert "127.0.0.1" not in text + path.read_text()


def test_who_ends_it_keeps_what_was_answered(redis, row, monkeypatch, tmp_path):
    facts = fact(), fact("two", error=KeyboardInterrupt()), fact("three")
    monkeypatch.setattr(first_contact, "USUAL", ())
    monkeypatch.setitem(VENUES, row.venue, replace(VENUES[row.venue], unsure=facts))
    check = CheckReport(row.name, row.pk, "BTC-USD")
    check.steps.append(Step("symbol", "symbol", Result.PASS, 0.0, "found"))
    monkeypatch.setattr(ExchangeCheck, "run", lambda *_: check)
    path = tmp_path / "found.json"
    with pytest.raises(KeyboardInterrupt):
        call_command("check_exchange", "sandbox", "--report", str(path), stderr=StringIO())
    told = json.loads(path.read_text())
    assert ([each["name"] for each in told["findings"]], told["questions"]) == (["one"], 3)
    assert "only 1 of 3 questions were asked" in (tmp_path / "found.json.txt").read_text()


def test_a_check_of_what_nobody_has_tried_names_the_report(redis, row, fast):
    output = StringIO()
    call_command("check_exchange", "sandbox", "--seconds", "1", stdout=output)
    assert "note: nobody has tried Binance itself with this yet: --report FILE" in output.getvalue()


def test_a_report_that_can_not_be_written_is_one_line_before_anything_is_asked(
    redis, row, monkeypatch, tmp_path
):
    asked = []
    monkeypatch.setattr(ExchangeCheck, "run", lambda *_: asked.append("a check"))
    for path in (tmp_path / "none" / "x.json", tmp_path):
        arguments = ["sandbox", "--seconds", "1", "--report", str(path)]
        with pytest.raises(UsageError, match="--report can't be written: "):
            call_command("check_exchange", *arguments, stdout=StringIO(), stderr=StringIO())
    assert asked == []


def test_a_report_whose_place_has_gone_meanwhile_is_one_line(
    redis, row, fast, monkeypatch, tmp_path
):
    found = ContactReport(row, VENUES["binance"], 1, CheckReport("sandbox", row.pk))
    (folder := tmp_path / "some").mkdir()
    path = folder / "x.json"

    def run(*_):
        path.unlink(missing_ok=True)
        folder.rmdir()
        return found

    monkeypatch.setattr(FirstContact, "run", run)
    arguments = ["sandbox", "--seconds", "1", "--report", str(path)]
    with pytest.raises(CommandError, match="the report can't be written: "):
        call_command("check_exchange", *arguments, stdout=StringIO(), stderr=StringIO())


def test_every_usual_question_is_in_the_documents():
    text = (ROOT / "docs/check-exchange.md").read_text().partition("## First contact")[2]
    told = re.findall(r"^\| `([a-z_]+)` \| (.+\?) \| .+ \|$", text, re.M)
    assert told == [(each.name, each.question) for each in usual.USUAL]


def test_every_unsure_fact_of_a_venue_is_a_question_with_a_name_of_its_own():
    for venue in VENUES.values():
        names = [each.name for each in (*usual.USUAL, *venue.unsure)]
        assert len(set(names)) == len(names), venue.name
        for each in venue.unsure:
            assert each.name.isidentifier()
            assert each.question.endswith("?")
            assert Finding(each).as_json()["assumed"]
