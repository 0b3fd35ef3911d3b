"""What a person does on the Network page."""

import os

import pytest

from exchanges.models import Exchange
from tests.warmup.network.browser import chromium as browsers
from tests.warmup.network.operators import held_by, holder_of, live, person

pytestmark = pytest.mark.django_db(transaction=True)


def test_connect_starts_an_exchange_that_is_free(page, redis, row, monkeypatch):
    with browsers.agent(redis, monkeypatch):
        page.open()
        assert page.count(".agent") == 1
        page.click("[data-button=connect]")
        page.wait_for("#toasts", "shall run")
        page.wait_for(".pill", "Active: streaming", 30)
        page.wait_for(".figure", "frames/s")
        page.wait_for(".last", "ada: Connect")
        assert page.is_the_same


def test_without_an_agent_it_says_so_and_how_to_start_one(page):
    page.open()
    assert "No agent is alive" in page.text("#agents")
    assert page.text("#agents code") == "./run agent"


def test_an_exchange_that_is_held_elsewhere_is_taken_over_by_its_name_only(
    page, redis, row, monkeypatch
):
    holder = held_by(redis, row, state="active", phase="streaming")
    with browsers.agent(redis, monkeypatch):
        page.open()
        page.click("[data-button=take-over]")
        page.wait_for("dialog[open]", "host-1")
        assert "10.0.0.9" in page.text("dialog[open]")
        page.click("dialog[open] [data-close]")
        page.wait(lambda: not page.count("dialog[open]"))
        assert holder_of(redis, row).instance_id == holder.instance_id

        page.click("[data-button=take-over]")
        page.wait_for("dialog[open]", "host-1")
        assert page.js("return document.activeElement.name") == "confirm"
        page.type("[name=confirm]", "sandbx")
        page.type("dialog[open] [name=reason]", "it hangs")
        page.click("dialog[open] .danger")
        page.wait_for("dialog[open] .errorlist", "sandbox")
        assert holder_of(redis, row).instance_id == holder.instance_id

        page.type("[name=confirm]", "sandbox")
        page.click("dialog[open] .danger")
        page.wait(lambda: not page.count("dialog[open]"))
        page.wait(lambda: holder_of(redis, row).pid == os.getpid(), 20)
        page.wait_for(".pill", "Active: streaming", 30)
        page.wait_for(".last", "it hangs")


def test_another_persons_action_shows_without_a_reload(page, redis, row, browser):
    live(redis, row)
    page.open()
    first = browser.current_window_handle
    page.log_in(person("bob", "operate_exchange", "view_exchange"), "localhost")
    browser.switch_to.new_window("window")
    page.open(host="localhost")
    page.click("[data-button=stop]")
    page.wait_for("dialog[open]", "Stop Sandbox?")
    page.type("dialog[open] [name=reason]", "maintenance")
    page.click("dialog[open] .danger")
    page.wait_for(".last", "bob: Stop (maintenance)")
    browser.switch_to.window(first)
    page.wait_for(".last", "bob: Stop (maintenance)")
    assert page.is_the_same
    assert Exchange.objects.get(pk=row.pk).wanted == Exchange.Wanted.STOPPED


def test_symbols_are_completed_from_the_listing_and_added(page, row):
    row.symbols.filter(symbol="SOL-USD").update(is_monitored=False)
    page.open()
    page.click("[data-button=add-symbols]")
    page.wait_for("dialog[open] h2", "Symbols of Sandbox")
    page.type("input[data-listing]", "so")
    page.wait(lambda: page.attribute("datalist option", "value") == "SOL-USD")
    page.type("input[data-listing]", "sol-usd")
    page.click("dialog[open] form[data-change] button.primary")
    page.wait_for("dialog[open] .said", "1 of 1 newly monitored")
    page.wait(lambda: page.count(".pairs a[aria-label^=SOL-USD]") == 6)
    assert page.is_the_same


# Lets the answer of a check come when the test says so, and what.
CHECK = """
const real = window.fetch;
window.fetch = (address, asked) => {
  if (!String(address).endsWith("/check/")) return real(address, asked);
  const headers = {"Content-Type": "application/json"};
  return new Promise((answer) => {
    window.answer = (text) => answer(new Response(text, {headers}));
  });
};
"""
FAILED = '{"ok": false, "text": "sandbox: failed", "html": "<h2 data-title>Its report</h2>"}'


def test_a_check_that_failed_is_shown_as_that(page):
    page.prepare(CHECK)
    page.open()
    page.click("[data-button=check]")
    page.wait_for("dialog[open]", "Checking")
    page.js("answer(arguments[0])", FAILED)
    page.wait_for("dialog[open]", "Its report")
    assert "sandbox: failed" in page.text("#toasts .bad")


def test_the_report_of_a_check_can_be_read_on_a_phone(page, row):
    Exchange.objects.update(rest_url="http://127.0.0.1:9", ws_url="ws://127.0.0.1:9")
    page.be_wide(400)
    page.open()
    page.click("[data-button=check]")
    page.wait(lambda: page.count("dialog[open] .steps tbody tr") == 11, 30)
    assert page.count("dialog[open] [data-result=FAIL] .remedy") >= 1
    assert "Connection refused" in page.text("dialog[open] [data-result=FAIL]")
    widths = page.js(
        "const found = document.querySelector('dialog[open] [data-result=FAIL] td:nth-child(3)');"
        "const modal = found.closest('dialog');"
        "return [found.clientWidth, modal.clientWidth, modal.scrollWidth]"
    )
    assert widths[0] > 0.8 * widths[1]
    assert widths[1] == widths[2]
    assert "steps failed" in page.text("#toasts .bad")


def test_a_late_answer_leaves_the_form_that_was_opened_meanwhile(page):
    page.prepare(CHECK)
    page.be_wide(1300)
    page.open()
    page.click("[data-button=check]")
    page.click("dialog[open] [data-close]")
    page.click("[data-button=connect]")
    page.wait_for("#toasts", "shall run")
    page.click("[data-button=setup]")
    page.wait_for("dialog[open]", "Setup: Sandbox")
    page.type("dialog[open] [name=display_name]", "Main")
    page.js("answer(arguments[0])", FAILED)
    page.wait_for("#toasts .bad", "sandbox: failed")
    assert page.js("return document.querySelector('dialog[open] [name=display_name]').value")
    right = page.js("return document.querySelector('#toasts').getBoundingClientRect().right")
    left = page.js("return document.querySelector('dialog[open]').getBoundingClientRect().left")
    assert 0 < right < left
    assert not page.count("[data-button=check][aria-busy]")
