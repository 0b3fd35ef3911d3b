"""What nobody would type is answered in a line."""

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse

from tests.warmup.network.operators import commands, live
from tests.warmup.network.views.addresses import ACTIONS, JSON, STOPPED, url, wanted

pytestmark = pytest.mark.django_db

WRONG_SYMBOLS = [
    "<script>alert(1)</script>",
    "*",
    ":",
    "A\r\nSet-Cookie: x",
    "BTC-USD\0",
    "x" * 9999,
    " ".join(f"S{n}-USD" for n in range(10_000)),
]


@pytest.mark.parametrize("name", ["add-symbols", "remove-symbols", "repair", "check"])
def test_what_is_no_symbol_is_one_line(redis, row, script, browser, name):
    live(redis, row)
    for wrong in WRONG_SYMBOLS:
        typed = {"symbols": wrong, "symbol": wrong, "timeframe": "1h"}
        status, answer = script(name, row, **typed)
        assert (status, answer["ok"]) == (400, False), wrong[:30]
        assert answer["text"].isprintable()
        assert len(answer["text"]) < 3000
        text = browser.post(url(name, row), typed, follow=True).content.decode()
        assert "<script>alert" not in text
        assert (commands(redis, row), LogEntry.objects.count()) == ([], 0), wrong[:30]


@pytest.mark.parametrize("name", ["connect", "stop", "warmup", "repair", "add-symbols", "check"])
def test_a_reason_that_is_none_is_one_line(redis, row, script, form, name):
    if name != "connect":
        live(redis, row)
    for reason in ("x" * 201, "a\0b", "\x1b[2J", "x" * 100_000):
        status, answer = script(name, row, reason=reason, symbols="SOL-USD")
        assert (status, answer["ok"], list(answer["errors"])) == (400, False, ["reason"])
        assert len(answer["text"]) < 200
        assert form(name, row, reason=reason, symbols="SOL-USD")[1] in (200, 400)
    assert (wanted(row), LogEntry.objects.count()) == (STOPPED, 0)


def test_a_reason_is_text_and_no_markup(redis, row, form, page):
    form("connect", row, reason="<img src=x>\r\nSecond: line")
    assert LogEntry.objects.get().get_change_message() == "Connect (<img src=x> Second: line)"
    text, _ = page("page")
    assert "<img src=x>" not in text
    assert "&lt;img src=x&gt; Second: line" in text


@pytest.mark.parametrize("number", [0, 999, 10**30])
@pytest.mark.parametrize("name", [*ACTIONS, "symbols", "setup"])
def test_an_exchange_that_does_not_exist_is_one_line(row, browser, number, name):
    address = reverse(f"network:{name}", args=[number])
    ask = browser.get if name in ("symbols", "setup") else browser.post
    page = ask(address)
    assert (page.status_code, "There is no exchange" in page.content.decode()) == (404, True)
    answer = ask(address, headers={"Accept": JSON})
    assert (answer.status_code, answer.json()["ok"]) == (404, False)


@pytest.mark.parametrize("tail", ["x", "-1", "9" * 5000, "4%00", "4'"])
def test_what_is_no_number_is_no_address(row, browser, tail):
    assert browser.post(f"/admin/network/{tail}/connect/").status_code in (301, 302, 404)


@pytest.mark.parametrize(
    "symbol", ["DOGE-USD", "%3Cscript%3E", "BTC-USD%00", "*", "A%2FB", "%0D%0A"]
)
def test_a_pair_that_does_not_exist_is_one_line(row, browser, symbol):
    for pair in (f"{symbol}/1h", "BTC-USD/2h", "BTC-USD/%00"):
        response = browser.get(f"/admin/network/{row.pk}/pairs/{pair}/")
        assert response.status_code == 404
        assert "<script>" not in response.content.decode().split('class="panel fragment"')[-1]


def test_too_much_at_once_is_refused(row, browser):
    response = browser.post(url("add-symbols", row), {"symbols": "BTC-USD " * 400_000})
    assert response.status_code == 400
