"""The Network page in a real Chromium, against the real web side, a Redis and the sandbox."""

import os
import re
import socket
from dataclasses import replace
from datetime import UTC, datetime

import orjson
import pytest
from django.contrib.sessions.models import Session
from selenium.webdriver.common.keys import Keys

from exchanges import accounts
from exchanges.lock.status import State
from exchanges.models import Exchange, Symbol, UserExchange
from exchanges.sandbox.server.config import SandboxConfig
from exchanges.sandbox.server.server import SandboxServer
from livermore.market import keys
from tests.warmup.network.browser import chromium as browsers
from tests.warmup.network.operators import held_by, holder_of, live, person
from tests.warmup.runners import SYMBOLS, chosen, make_row, processes, running

pytestmark = pytest.mark.django_db(transaction=True)

LEAST_CONTRAST = 4.5  # WCAG 2.2, 1.4.3, level AA


@pytest.fixture(scope="module")
def shared():
    with SandboxServer(SandboxConfig(listings=chosen(SYMBOLS))) as server:
        yield server


@pytest.fixture
def sandbox(shared):
    shared.reset()
    return shared


@pytest.fixture
def row(redis, sandbox):
    """Return the only exchange."""
    Exchange.objects.exclude(name="sandbox").delete()
    return make_row(sandbox, display_name="Sandbox", wanted="stopped")


@pytest.fixture
def ada():
    return person("ada", "operate_exchange", "view_exchange")


@pytest.fixture
def page(browser, web, row, ada):
    one = browsers.Page(browser, web)
    one.log_in(ada)
    yield one
    one.reset()


@pytest.fixture
def manage():
    with processes() as manage:
        yield manage


def percent(page):
    return float(page.attribute(".warmup progress", "value") or 0)


# -- What moves by itself


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
    held_by(redis, row, state="active", phase="streaming")
    web.start()
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


# -- Actions


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


# -- Setup


@pytest.fixture
def two_accounts(ada, row):
    return [
        accounts.save_account(UserExchange(user=ada, exchange=row, display_name=name))
        for name in ("Main", "Spare")
    ]


def test_a_new_default_is_shown_at_once_and_the_old_one_is_none_any_more(page, two_accounts):
    main, spare = two_accounts
    page.open()
    assert "default" in page.text(f"[data-account='{main.pk}']")
    page.click("[data-button=setup]")
    page.wait_for("dialog[open]", "Setup: Sandbox")
    page.click("dialog[open] [aria-label='Change Spare']")
    page.wait_for("dialog[open] h3", "Change Spare")
    page.click("dialog[open] [name=is_default]")
    page.click("dialog[open] button.primary")
    page.wait_for(f"[data-account='{spare.pk}']", "default")
    assert "default" not in page.text(f"[data-account='{main.pk}']")
    assert page.is_the_same


def test_what_is_wrong_in_the_setup_stands_next_to_its_field(page):
    page.open()
    page.click("[data-button=setup]")
    page.wait_for("dialog[open]", "New account")
    page.type("dialog[open] [name=display_name]", "Main")
    page.type("dialog[open] [name=api_key_env]", "PATH")
    page.click("dialog[open] button.primary")
    page.wait_for(".field:has([name=api_key_env]) .errorlist", "BINANCE_")
    assert not page.count(".field:has([name=display_name]) .errorlist")
    assert not UserExchange.objects.exists()


def test_a_default_is_made_in_one_click_in_the_panel_and_in_the_dialog(page, two_accounts):
    main, spare = two_accounts
    page.open()
    page.click(f"[data-account='{spare.pk}'] form button")
    page.wait_for("#toasts", "Spare is your default now.")
    page.wait_for(f"[data-account='{spare.pk}']", "default")
    assert not page.count("dialog[open]")
    # Rows that scripts drew work as those of the server do.
    page.click(f"[data-account='{main.pk}'] form button")
    page.wait_for("#toasts", "Main is your default now.")
    page.click("[data-button=setup]")
    page.wait_for("dialog[open]", "Your default is offered first")
    page.one("dialog[open] button[aria-label='Make Spare the default']").send_keys(Keys.ENTER)
    page.wait(lambda: page.count("dialog[open] button[aria-label='Make Main the default']"))
    assert UserExchange.objects.get(is_default=True) == spare
    assert page.is_the_same


@pytest.mark.parametrize("width", [400, 1200])
def test_an_account_is_deleted_by_keyboard_after_a_question(page, row, two_accounts, width):
    main, spare = two_accounts
    page.be_wide(width)
    page.open()
    page.one(f"[data-account='{main.pk}'] a[data-to='delete/']").send_keys(Keys.ENTER)
    page.wait_for("dialog[open]", "Delete Main at")
    assert page.js("return document.activeElement.textContent") == "Keep it"
    page.one("dialog[open] button.danger").send_keys(Keys.ENTER)
    page.wait_for("#toasts", "Main was deleted.")
    page.wait(lambda: not page.count(f"[data-account='{main.pk}']"))
    page.wait_for(f"[data-account='{spare.pk}']", "default")
    assert page.js("return document.documentElement.scrollWidth") <= width
    Exchange.objects.filter(pk=row.pk).update(account=spare)
    page.click(f"[data-account='{spare.pk}'] a[data-to='delete/']")
    page.wait_for("dialog[open]", "The key of Spare is used by sandbox, so it is not deleted.")
    assert not page.count("dialog[open] button.danger")
    assert page.js("return document.documentElement.scrollWidth") <= width
    assert page.is_the_same


def test_the_rule_of_names_is_said_before_and_what_was_typed_stays(page):
    page.open()
    page.click("[data-button=setup]")
    page.wait_for("dialog[open]", "The names of variables begin with BINANCE_…")
    page.type("dialog[open] [name=display_name]", "Main")
    page.type("dialog[open] [name=api_key_env]", "MY_KEY")
    page.type("dialog[open] [name=api_secret_env]", "BINANCE_SECRET")
    page.click("dialog[open] button.primary")
    page.wait_for(".field:has([name=api_key_env]) .errorlist", "BINANCE_")
    values = page.js(
        "return [...document.querySelectorAll('dialog[open] .field input')].map(each => each.value)"
    )
    assert values[:3] == ["Main", "MY_KEY", "BINANCE_SECRET"]


# -- The pair


def chart(page, script):
    return page.js(f"const all = document.getElementById('chart').data; return all && {script}")


@pytest.fixture
def hurried():
    with SandboxServer(SandboxConfig(listings=chosen(SYMBOLS), speed=20)) as server:
        yield server


def test_a_pairs_chart_follows_the_open_candle(page, redis, hurried):
    with running(redis, make_row(hurried)):
        page.open()
        page.wait(lambda: page.count(".pairs a[data-code=c]"))
        page.click("[aria-label^='BTC-USD 1m']")
        page.wait_for("#link", "Live")
        page.js("window.mark = true")
        assert chart(page, "all[0].type") == "candlestick"
        assert chart(page, "all.map(each => each.name)") == [
            *("Price", "Volume", "Quiet", "Histogram", "MACD-V", "Signal")
        ]
        assert chart(page, "all[0].x.length") >= 60
        shown = chart(page, "all[0].close.at(-1) + '/' + all[1].y.at(-1)")
        page.wait(lambda: chart(page, "all[0].close.at(-1) + '/' + all[1].y.at(-1)") != shown, 30)
        assert page.count("#candles tbody tr") == 20
        page.click("#pair form button")
        page.wait_for("#toasts", "BTC-USD 1m")
        assert page.is_the_same


def test_holes_of_a_pair_are_marked_and_counted(page, redis, row, manage):
    assert manage("warmup", "sandbox").wait(30) == 0
    name = keys.coverage(row.pk, "BTC-USD", "1h")
    [[start, end]] = orjson.loads(redis.get(name))
    hour = 3_600_000
    parts = [[start, end - 20 * hour], [end - 15 * hour, end]]
    redis.set(name, orjson.dumps(parts))
    page.open(f"{browsers.NETWORK}{row.pk}/pairs/BTC-USD/1h/")
    assert page.text("[data-missing]") == "(1 stretch)"
    script = "return document.getElementById('chart').layout.shapes.filter(s => s.type === 'rect')"
    [hole] = page.js(script)
    assert [hole["x0"], hole["x1"]] == [parts[0][1], parts[1][0]]


# What is shown where the pointer is, and beside the axes of price and volume.
HOVER = """
const chart = document.getElementById("chart");
const [traces, names] = [chart.data, arguments[0]];
const at = traces[0].x.indexOf(arguments[1]);
Plotly.Fx.hover(chart, names.map((name) => ({
  curveNumber: traces.findIndex((trace) => trace.name === name), pointNumber: at,
})), ["xy", "xy2"]);
const texts = (css) => [...chart.querySelectorAll(css)].map((each) => each.textContent);
return [texts(".hoverlayer .hovertext").join(" "), texts(".ytick text, .y2tick text")];
"""


@pytest.mark.parametrize("scripts", [True, False], ids=["by script", "by the server"])
def test_prices_far_below_a_cent_are_read_without_an_exponent(page, redis, row, scripts):
    hour = 3_600_000
    newest = int(datetime.now(UTC).timestamp() * 1000) // hour * hour - hour
    name = keys.candles(row.pk, "BTC-USD", "1h")
    for at in range(newest - 99 * hour, newest + 1, hour):
        redis.zadd(name, {orjson.dumps([at, 4.1e-07, 4.3e-07, 4e-07, 4.2e-07, 2e-07]): at})
    page.disable_scripts(not scripts)
    page.open(f"{browsers.NETWORK}{row.pk}/pairs/BTC-USD/1h/", live=scripts)
    cells = "0.00000041 0.00000043 0.0000004 0.00000042 0.0000002"
    page.wait(lambda: " ".join((page.text("#candles tbody tr") or "").split()[2:]) == cells)
    if scripts:
        page.wait(lambda: page.count(".ytick text"))
        shown, ticks = page.js(HOVER, ["Price", "Volume"], newest)
        assert "close: 0.00000042" in shown
        assert "Volume0.0000002" in shown
        assert any(re.fullmatch(r"0\.0000004\d*", text) for text in ticks)
        assert not re.search(r"\d(e|μ|n)", shown + " ".join(ticks))


PLAIN = """
const [numbers, done] = arguments;
const script = document.querySelector("script[src$='/pair.js']").src;
import(script.replace("pair.js", "numbers.js")).then(({plain}) => done(numbers.map(plain)));
"""


def test_scripts_write_numbers_as_people_read_them(page, redis, row):
    page.open(f"{browsers.NETWORK}{row.pk}/pairs/BTC-USD/1h/")
    numbers = {
        4.1e-07: "0.00000041",
        -1.25e-10: "-0.000000000125",
        1e-07: "0.0000001",
        0.000041: "0.000041",
        67012.37: "67012.37",
        4e20: "400000000000000000000",
        1.5e21: "1500000000000000000000",
        0: "0",
    }
    assert page.driver.execute_async_script(PLAIN, list(numbers)) == list(numbers.values())


# What a page knows of a pair with bars of a minute, numbered from a thousand on.
QUIET = """
const done = arguments[0];
const ms = (bar) => (1000 + bar) * 60000;
const row = (bar) => [ms(bar), 1, 1, 1, 1, 1];
const script = document.querySelector("script[src$='/pair.js']").src;
import(script.replace("pair.js", "pairdata.js")).then(({PairData}) => {
  const macdv = {timestamps: [], value: [], signal: [], histogram: []};
  const candles = [0, 2, 4, 8].map(row);
  const missing = [[ms(5), ms(7)]];
  const quiet = [ms(1), ms(3), ms(7)];
  const pair = {serverTime: ms(9), candles, live: null, missing, quiet, macdv};
  const data = new PairData(pair, 60000);
  const take = (bar, more, missing) => {
    data.take({serverTime: ms(bar), candles: more, live: row(bar), missing, macdv: []});
    return data.quiet().map((each) => each / 60000 - 1000);
  };
  done([
    take(12, [], missing),
    take(13, [], missing),
    take(16, [row(12)], [[ms(1), ms(2)], [ms(9), ms(10)]]),
  ]);
});
"""


def test_a_bar_is_quiet_only_where_that_is_known(page, row):
    page.open(f"{browsers.NETWORK}{row.pk}/pairs/BTC-USD/1m/")
    young, older, repaired = page.driver.execute_async_script(QUIET)
    assert young == [1, 3, 7, 9]
    assert older == [1, 3, 7, 9, 10]
    assert repaired == [3, 5, 6, 7, 10, 11, 13]


# -- Everybody can use it


def test_without_scripts_it_shows_all_and_its_buttons_work(page, redis, row):
    held_by(redis, row, state="active", phase="streaming", obeys=True, connections=1)
    page.disable_scripts()
    page.open(live=False)
    assert "Active: streaming" in page.one(".pill").text
    assert len(page.all(".pairs a")) == 18
    assert not page.one(".grid-tools").is_displayed()
    page.click("[data-button=stop]")
    page.wait(lambda: "shall not run" in "".join(each.text for each in page.all(".messagelist")))
    page.click("[aria-label^='BTC-USD 1h']")
    page.wait(lambda: "No candle is cached yet" in "".join(each.text for each in page.all("td")))
    assert Exchange.objects.get(pk=row.pk).wanted == Exchange.Wanted.STOPPED


def test_nothing_is_wider_than_a_narrow_screen(page, redis, row, two_accounts):
    live(redis, row)
    page.be_wide(400)
    for path in (browsers.NETWORK, f"{browsers.NETWORK}{row.pk}/pairs/BTC-USD/1h/"):
        page.open(path)
        assert page.js("return document.documentElement.scrollWidth") <= 400
    page.open()
    page.click("[data-button=setup]")
    page.wait_for("dialog[open]", "Setup: Sandbox")
    assert page.js("return document.querySelector('dialog').scrollWidth") <= 400


def test_on_a_narrow_screen_the_header_and_the_symbols_can_be_read(page, redis, row):
    row.symbols.create(
        symbol="1000SATS-FDUSD",
        native_symbol="1000SATSFDUSD",
        base="1000SATS",
        quote="FDUSD",
        is_monitored=True,
    )
    live(redis, row)
    page.be_wide(400)
    page.open()
    page.wait_for("[role=rowheader]", "1000SATS-FDUSD")
    name, link = (
        page.js(f"return document.querySelector('{each}').getBoundingClientRect().toJSON()")
        for each in ("#site-name", ".to-network")
    )
    assert link["left"] - name["right"] >= 10
    cut = page.js(
        "return [...document.querySelectorAll('[role=rowheader]')].filter((each) =>"
        " each.scrollWidth > each.clientWidth"
        " || each.scrollHeight > each.parentElement.clientHeight).map((each) => each.textContent)"
    )
    assert cut == []


def test_a_thousand_symbols_can_be_filtered_scrolled_and_walked_through(page, redis, row):
    names = [f"C{number:03}-USD" for number in range(997)]
    Symbol.objects.bulk_create(
        Symbol(exchange=row, symbol=n, native_symbol=n, base=n[:4], quote="USD", is_monitored=True)
        for n in names
    )
    page.open()
    assert page.count(".pairs a") == 6000
    page.type("[data-filter]", "c99")
    page.wait_for("[data-shown]", "7 of 1000 symbols")
    assert page.count(".pairs:not([hidden]) a") == 7 * 6
    page.type("[data-filter]", "btc")
    page.wait_for("[data-shown]", "1 of 1000 symbols")
    page.js("document.querySelector('.pairs:not([hidden]) a').focus()")
    page.one("[aria-label^='BTC-USD 1m']").send_keys(2 * Keys.RIGHT)
    assert page.js("return document.activeElement.ariaLabel") == "BTC-USD 15m: cold"
    page.one("[data-filter]").send_keys(3 * Keys.BACKSPACE)
    page.wait(lambda: page.count(".pairs[hidden]") == 0)
    page.js("document.querySelector('.chunks').lastElementChild.lastElementChild.scrollIntoView()")
    last = "document.querySelector('[aria-label^=\"SOL-USD 1d\"]')"
    assert page.js(f"return {last}.checkVisibility({{contentVisibilityAuto: true}})")
    page.click("[data-problems]")
    assert page.count(".pairs:not([hidden]) a") == 6000  # all are cold
    assert page.count(".pairs a[tabindex='0']") == 1


# Texts, their colour and the colour behind them, as the browser computed both.
COLOURS = """
const behind = (element) => {
  for (let each = element; each; each = each.parentElement) {
    const colour = getComputedStyle(each).backgroundColor;
    if (!/rgba\\(.*, 0\\)/.test(colour)) return colour;
  }
  return "rgb(255, 255, 255)";
};
return [...document.querySelectorAll("#content *")]
  .filter((each) => each.checkVisibility() && !each.closest(":disabled, svg, .chart"))
  .filter((each) => [...each.childNodes].some((child) => child.nodeType === 3 && child.data.trim()))
  .map((each) => [each.innerText.slice(0, 40), getComputedStyle(each).color, behind(each)]);
"""


def contrast(one, other):
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour):
    parts = [int(each) / 255 for each in re.findall(r"\d+", colour)[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def weak(page):
    """Return the texts that are hard to read."""
    found = page.js(COLOURS)
    assert len(found) > 20
    return [each for each in found if contrast(*each[1:]) < LEAST_CONTRAST]


def test_contrast_is_measured_as_the_standard_says():
    assert contrast("rgb(0, 0, 0)", "rgb(255, 255, 255)") == pytest.approx(21)
    assert contrast("rgb(118, 118, 118)", "rgb(255, 255, 255)") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_text_can_be_read(page, redis, row, two_accounts, theme):
    held_by(redis, row, state="active", phase="streaming")
    page.look(theme)
    page.open()
    for state in [*State, "stale"]:
        page.js("document.querySelector('.card').dataset.state = arguments[0]", state)
        assert (state, weak(page)) == (state, [])
    for code in "crqhk":
        page.js("document.querySelector('.pairs a').dataset.code = arguments[0]", code)
        assert (code, weak(page)) == (code, [])
    page.open(f"{browsers.NETWORK}{row.pk}/pairs/BTC-USD/1h/")
    assert weak(page) == []
