"""What moves by itself on the Network page."""

import re
import socket
from dataclasses import replace
from datetime import UTC, datetime

import orjson
import pytest
from django.contrib.sessions.models import Session

from livermore.market import keys
from tests.warmup.network.operators import held_by
from tests.warmup.runners import SYMBOLS

pytestmark = pytest.mark.django_db(transaction=True)


def percent(page):
    return float(page.attribute(".warmup progress", "value") or 0)


def test_a_warmup_begun_on_the_command_line_moves_the_bar_and_ends_complete(page, sandbox, manage):
    page.open()
    sandbox.scenarios.add("slow", delay=1, symbol="BTC-USD")
    page.js(
        "window.seen = [];"
        "new MutationObserver(() => seen.push(document.querySelector('progress').value))"
        ".observe(document.querySelector('progress'), {attributes: true})"
    )
    command = manage("warmup", "sandbox")
    page.wait(lambda: page.attribute(".warmup", "data-status") == "complete", 30)
    assert command.wait(10) == 0
    seen = page.js("return seen")
    assert [each for each in seen if 0 < each < 100], seen
    assert (percent(page), page.is_the_same) == (100, True)
    assert "18 done" in page.text(".warmup-facts")
    page.wait(lambda: not page.count(".pairs a:is([data-code=k], [data-code=r])"))
    assert page.count(".pairs a[aria-label$=' 1d: complete']") == len(SYMBOLS)


def test_when_the_server_is_restarted_the_page_says_it_is_stale_and_recovers(page, web, redis, row):
    page.open()
    web.end()
    page.wait_for("#link", "Stale since")
    assert "Try now" in page.text("#link")
    web.start()
    held_by(redis, row, state="active", phase="streaming")  # it lasts for less than a slow start
    page.wait_for("#link", "Live", 40)
    page.wait_for(".pill", "Active: streaming")
    assert page.is_the_same


# Lets a page lose the next message on a card.
LOSE_ONE = """
window.WebSocket = class extends WebSocket {
  set onmessage(take) {
    super.onmessage = (event) => {
      if (window.lose && JSON.parse(event.data).type === "card") window.lose = false;
      else take(event);
    };
  }
};
"""


def test_a_message_that_was_lost_is_noticed_and_made_up_for(page, redis, row):
    page.prepare(LOSE_ONE)
    page.open()
    page.js("window.lose = true")
    held_by(redis, row, state="active", phase="streaming")
    page.wait(lambda: not page.js("return window.lose"))
    assert page.text(".pill") != "Active: streaming"
    held_by(redis, row, state="active", phase="streaming", framesPerSecond=7.0)
    page.wait_for(".figure", "7.0 frames/s")
    page.wait_for(".pill", "Active: streaming")
    assert page.is_the_same


# Lets sockets go to a port that says nothing; and ten seconds of the page's last one.
HANG = """
window.sockets = [];
window.WebSocket = class extends WebSocket {
  constructor(address) {
    super(window.silent ? `ws://127.0.0.1:${window.silent}/` : address);
    sockets.push(this);
  }
};
const later = window.setTimeout;
window.setTimeout = (work, ms, ...rest) => later(work, ms / 10, ...rest);
"""
TRY_NOW = "const before = sockets.length; document.querySelector('[data-link-again]').click();"


def test_an_attempt_that_hangs_is_given_up_and_try_now_does_not_wait_for_that(page):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        page.prepare(HANG)
        page.ignore_policy()  # it forbids sockets to any other port
        page.open()
        page.js("window.silent = arguments[0]; sockets.at(-1).close()", silent.getsockname()[1])
        page.wait_for("#link", "Stale since")
        page.wait(lambda: page.js("return sockets.length") >= 3)  # none was refused
        assert page.js("return sockets[1].readyState") == 3
        assert page.js(f"{TRY_NOW} return sockets.length - before") == 1
        page.js(f"window.silent = 0; {TRY_NOW}")
        page.wait_for("#link", "Live")
        assert page.js("return sockets.filter(each => each.readyState < 2).length") == 1


def test_who_is_logged_out_is_told_so_and_nothing_is_tried_again(page, web):
    page.open()
    Session.objects.all().delete()
    web.end()
    web.start()
    page.wait_for("#link", "not logged in any more", 40)
    assert page.attribute("#link", "data-link") == "ended"
    assert "Reconnecting" not in page.text("#link")


def test_times_go_on_by_themselves(page, redis, row):
    holder = held_by(redis, row, state="active", phase="streaming")
    now_ms = redis.time()[0] * 1000
    just_now = replace(holder, connected_since=now_ms).as_json()
    redis.set(keys.lock(row.pk), orjson.dumps(just_now), px=45_000)
    page.open()
    since = "[data-time=connectedSince]"
    shown = page.text(since)
    assert re.fullmatch(r"\d s ago", shown)
    exact = datetime.fromtimestamp(now_ms / 1000, UTC)
    assert page.attribute(since, "title") == f"{exact:%Y-%m-%d %H:%M:%S} UTC"
    page.wait(lambda: page.text(since) > shown)
