"""What is answered to an action, with scripts and without."""

import orjson
import pytest
from django.contrib.admin.models import LogEntry

from tests.warmup.network.operators import agent, commands, live
from tests.warmup.network.views.addresses import RUNNING, STOPPED, url, wanted

pytestmark = pytest.mark.django_db


# -- Actions


def test_a_script_gets_a_line(redis, row, script):
    agent(redis)
    status, answer = script("connect", row)
    assert (status, answer) == (
        200,
        {"ok": True, "text": "sandbox shall run: an agent does it within seconds (of-agent-1)."},
    )
    assert wanted(row) == RUNNING


def test_a_browser_without_scripts_is_led_back_with_a_message(redis, row, browser):
    agent(redis)
    response = browser.post(url("connect", row))
    assert (response.status_code, response.url) == (303, "/admin/network/")
    assert "an agent does it within seconds" in browser.get(response.url).content.decode()


def test_what_is_refused_is_said_in_a_line(row, script, form):
    line = "sandbox is stopped already."
    assert script("stop", row) == (400, {"ok": False, "text": line})
    assert "is stopped already." in form("stop", row)[0]
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize("name", ["stop", "warmup", "repair", "add-symbols", "remove-symbols"])
def test_each_action_is_done_with_its_reason(redis, row, ada, script, name):
    live(redis, row)
    status, answer = script(name, row, symbols="SOL-USD", reason="because")
    assert (status, answer["ok"]) == (200, True)
    assert len(commands(redis, row)) == 1
    entry = LogEntry.objects.get()
    assert (entry.user, entry.object_id) == (ada, str(row.pk))
    assert entry.get_change_message().endswith("(because)")


def test_a_repair_from_a_pairs_page_leads_back_there(redis, row, browser):
    live(redis, row)
    response = browser.post(url("repair", row), {"symbol": "BTC-USD", "timeframe": "1h"})
    assert response.url == url("pair", row, "BTC-USD", "1h")
    assert commands(redis, row) == [
        ("repair", {"symbols": ["BTC-USD"], "timeframes": ["1h"]}),
    ]


def test_a_check_shows_each_step(row, script, form):
    row.rest_url = row.ws_url = "http://127.0.0.1:9"
    row.save()
    status, answer = script("check", row)
    assert (status, answer["ok"]) == (200, False)
    assert "steps failed" in answer["text"]
    assert "row and addresses" in answer["html"]
    text, status = form("check", row)
    assert (status, "row and addresses" in text) == (200, True)
    assert '<li class="warning">' in text
    assert LogEntry.objects.count() == 2


# -- Symbols


def test_symbols_are_proposed_from_the_listing(row, page):
    def proposed(typed):
        return orjson.loads(page("symbols", row, q=typed)[0])["symbols"]

    assert proposed("") == ["SOL-USD", "XRP-USD"]  # the others are monitored
    assert proposed("so") == ["SOL-USD"]
    assert proposed("usd")[0] == "SOL-USD"
    row.symbols.filter(symbol="SOL-USD").update(status="delisted")
    for typed in ("so", "\0", "%", "_", "'", "x" * 5000):
        assert proposed(typed) == []


def test_at_most_twenty_are_proposed_those_that_begin_so_first(row, page):
    model = row.symbols.model
    model.objects.bulk_create(
        model(exchange=row, symbol=name, native_symbol=name, base=name, quote="USD")
        for name in [f"A{number:02}SOL-USD" for number in range(30)]
    )
    found = orjson.loads(page("symbols", row, q="sol")[0])["symbols"]
    assert (len(found), found[0], found[1]) == (20, "SOL-USD", "A00SOL-USD")


@pytest.mark.parametrize("name", ["add-symbols", "remove-symbols"])
def test_a_wrong_symbol_is_said_at_its_field_and_kept_to_be_corrected(row, script, browser, name):
    status, answer = script(name, row, symbols="sol-usdd")
    assert (status, "html" in answer) == (400, False)
    assert answer["errors"]["symbols"] == [answer["text"]]
    assert "SOL-USDD (close: SOL-USD" in answer["text"]
    response = browser.post(url(name, row), {"symbols": "sol-usdd"})
    text = response.content.decode()
    assert (response.status_code, 'value="sol-usdd"' in text) == (400, True)
    assert "close: SOL-USD" in text


# -- Without Redis


def test_without_redis_the_page_does_not_say_that_no_agent_is_alive(row, page, monkeypatch):
    from redis import Redis

    gone = Redis(port=1, socket_connect_timeout=1, retry=None)
    monkeypatch.setattr("warmup.network.views.get_redis_connection", lambda name: gone)
    text, status = page("page")
    assert (status, "Redis does not answer:" in text) == (200, True)
    assert "data-no-agent hidden" in text


def test_without_redis_actions_say_so_and_change_nothing(row, script, form, monkeypatch):
    from redis import Redis

    gone = Redis(port=1, socket_connect_timeout=1, retry=None)
    monkeypatch.setattr("warmup.network.views.get_redis_connection", lambda name: gone)
    for name in ("connect", "stop", "warmup", "add-symbols"):
        status, answer = script(name, row, symbols="SOL-USD")
        assert (status, "Redis does not answer" in answer["text"]) == (503, True)
    assert "Redis does not answer" in form("connect", row)[0]
    assert (wanted(row), LogEntry.objects.count()) == (STOPPED, 0)
