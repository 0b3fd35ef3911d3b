"""The cards of the Network page in a real Chromium: their order, what is a line, what they tell."""

import pytest

from exchanges.models import Exchange
from exchanges.sandbox.server.config import SandboxConfig
from exchanges.sandbox.server.server import SandboxServer
from livermore import __version__
from livermore.market import keys
from tests.fixtures.ports import free_port
from tests.warmup.network.browser import chromium as browsers
from tests.warmup.network.operators import held_by, person
from tests.warmup.runners import SYMBOLS, chosen, make_row, processes, running
from warmup.runner.command_log import CommandLog

pytestmark = pytest.mark.django_db(transaction=True)

ORDER = "return [...document.querySelectorAll('#cards [data-text=name]')].map(n => n.textContent)"
COLOR = "return getComputedStyle(document.querySelector(arguments[0])).color"
TEXT = "return document.querySelector(arguments[0]).textContent"
LIVE = {
    "obeys": True, "symbols": 3, "streams": 18, "connections": 1, "framesPerSecond": 5.0,
}  # fmt: skip


@pytest.fixture
def sandbox():
    with SandboxServer(SandboxConfig(listings=chosen(SYMBOLS))) as server:
        yield server


@pytest.fixture
def row(redis, sandbox):
    Exchange.objects.exclude(name__in=["sandbox", "binance", "coinbase"]).delete()
    Exchange.objects.update(wanted="stopped")
    return make_row(sandbox, display_name="Sandbox", wanted="stopped")


@pytest.fixture
def page(browser, web, row):
    one = browsers.Page(browser, web)
    one.log_in(person("ada", "operate_exchange", "view_exchange"))
    yield one
    one.js("sessionStorage.clear()")
    one.reset()


def order(page):
    return page.js(ORDER)


def leave_the_cards(page):
    """Let the pointer and the focus be elsewhere."""
    page.js("document.activeElement.blur()")
    browsers.webdriver.ActionChains(page.driver).move_by_offset(0, 0).perform()
    browsers.webdriver.ActionChains(page.driver).move_to_element(page.one("h1")).perform()


def streams(redis, row):
    held_by(redis, row, state="active", phase="streaming", **LIVE)


def is_line(page, row):
    return page.one(f"#exchange-{row.pk}").size["height"] < 80


def test_an_idle_exchange_is_a_line_that_opens_by_the_keyboard_and_stays_so(page, row):
    page.be_wide(1280)
    page.open()
    card = f"#exchange-{row.pk}"
    assert is_line(page, row)
    assert page.one(f"{card} [data-button=connect]").is_displayed()
    assert page.one(f"{card} [data-button=setup]").is_displayed()
    assert "Sandbox" in page.text(f"{card} h2")
    assert not page.one(f"{card} [data-button=check]").is_displayed()
    page.one(f"{card} .more > summary").send_keys("\ue007")
    page.wait(lambda: not is_line(page, row))
    assert page.one(f"{card} [data-button=check]").is_displayed()
    page.open()
    assert not is_line(page, row)


def test_what_begins_to_run_comes_first_and_what_ends_goes_back(page, redis, row):
    page.open()
    assert order(page) == ["binance", "coinbase", "sandbox"]
    leave_the_cards(page)
    streams(redis, row)
    page.wait(lambda: order(page) == ["sandbox", "binance", "coinbase"])
    assert not is_line(page, row)
    redis.delete(keys.lock(row.pk), keys.status(row.pk))
    page.wait(lambda: order(page) == ["binance", "coinbase", "sandbox"])
    page.wait(lambda: is_line(page, row))
    assert page.is_the_same


def test_nothing_moves_under_a_pointer_or_a_keyboard_until_it_has_left(page, redis, row):
    page.open()
    other = Exchange.objects.get(name="binance")
    button = page.one(f"#exchange-{other.pk} [data-button=setup]")
    browsers.webdriver.ActionChains(page.driver).move_to_element(button).perform()
    before = button.location
    streams(redis, row)
    page.wait_for(f"#exchange-{row.pk} .pill", "Active: streaming")
    assert order(page) == ["binance", "coinbase", "sandbox"]
    assert button.location == before
    leave_the_cards(page)
    page.wait(lambda: order(page)[0] == "sandbox")
    page.js("arguments[0].focus({focusVisible: true})", button)
    held_by(redis, other, 5, state="error", phase="gone")
    page.wait_for(f"#exchange-{other.pk} .pill", "Error: gone")
    assert order(page)[0] == "sandbox"
    leave_the_cards(page)
    page.wait(lambda: order(page)[0] == "binance")


def test_without_scripts_the_order_is_the_same_and_lines_open(page, redis, row):
    streams(redis, row)
    page.disable_scripts()
    page.open(live=False)
    names = [each.text for each in page.all("#cards [data-text=name]")]
    assert names == ["sandbox", "binance", "coinbase"]
    other = Exchange.objects.get(name="binance")
    assert is_line(page, other) and not is_line(page, row)
    page.click(f"#exchange-{other.pk} .more > summary")
    page.wait(lambda: not is_line(page, other))


def test_connect_without_a_way_there_tells_why_in_red_and_counts_down(
    page, redis, row, monkeypatch
):
    port = free_port()
    Exchange.objects.filter(pk=row.pk).update(rest_url=f"http://127.0.0.1:{port}", listed_at=None)
    row.symbols.all().delete()
    page.open()
    with browsers.agent(redis, monkeypatch):
        page.click(f"#exchange-{row.pk} [data-button=connect]")
        trouble = f"#exchange-{row.pk} .trouble"
        page.wait_for(trouble, f"127.0.0.1:{port} cannot be reached", 10)
        page.wait_for(trouble, "curl")
        page.wait_for(trouble, "tries again in", 30)
        color = page.js(
            "return getComputedStyle(document.querySelector(arguments[0])).color", trouble
        )
        red, green, blue = (int(each) for each in color[4:-1].split(","))
        assert red > 2 * max(green, blue)
        page.wait_for(f"#exchange-{row.pk} .pill", "Error: cannot connect")


def test_a_repair_of_the_terminal_shows_its_progress_and_then_in_the_list(
    page, redis, row, sandbox
):
    page.open()
    sandbox.scenarios.add("slow", delay=1.5, symbol="BTC-USD")
    sandbox.scenarios.add("slow", delay=6, symbol="ETH-USD")  # while it waits the others are done
    card = f"#exchange-{row.pk}"
    with processes() as manage:
        manage("repair", "sandbox")
        running = f"{card} [data-commands=running]"
        page.wait_for(running, "Repair")
        page.wait_for(running, "of 18 pairs")
        assert page.one(f"{running} progress").is_displayed()
        ended = f"{card} [data-commands=ended]"
        page.wait(
            lambda: (
                "18 pairs"
                in (page.js("return document.querySelector(arguments[0]).textContent", ended) or "")
            ),
            40,
        )
    assert page.count(f"{running} li") == 0
    assert page.is_the_same


def test_the_last_commands_are_read_without_scripts(page, redis, row):
    CommandLog(redis, row.pk).note("Stop", "ada")
    streams(redis, row)
    page.disable_scripts()
    page.open(live=False)
    page.click(f"#exchange-{row.pk} .commands summary")
    page.wait_for(f"#exchange-{row.pk} .command", "Stop")
    assert "ada" in page.text(f"#exchange-{row.pk} .command")


# -- Notes over the page

TOAST = """
const done = arguments[arguments.length - 1];
const toasts = [...document.scripts].map(s => s.src).find(s => s.endsWith("/page.js"));
const text = arguments[0];
import(toasts.replace("page.js", "toasts.js")).then(m => { m.toast(text, {bad: true}); done(); });
"""
BUTTONS = "#content button:enabled, #content a.button-like, #content summary"
CLOSES = """
const cells = [...document.querySelectorAll("#candles :is(th, td):nth-child(5)")];
const box = document.querySelector("#candles").parentElement.getBoundingClientRect();
const edges = cells.map((cell) => {
  const {left, right} = cell.getBoundingClientRect();
  return [cell.textContent, left, right];
});
return [edges, box.left, box.right];
"""
ON_TOP = """
const button = arguments[0], area = button.getBoundingClientRect();
const found = document.elementFromPoint(area.x + area.width / 2, area.y + area.height / 2);
return found !== null && (button.contains(found) || found.contains(button));
"""


@pytest.mark.parametrize("width", [400, 1280])
@pytest.mark.parametrize("block", ["nearest", "start", "center", "end"])
def test_every_button_can_be_pressed_while_a_note_is_shown(page, redis, row, width, block):
    page.be_wide(width, 700)
    streams(redis, row)
    page.open()
    page.driver.execute_async_script(TOAST, "It was refused, for a reason that is rather long.")
    assert page.one(".toast").is_displayed()
    seen = [each for each in page.all(BUTTONS) if each.is_displayed()]
    assert len(seen) > 10
    for button in seen:
        page.js(f"arguments[0].scrollIntoView({{block: '{block}'}})", button)
        page.wait(lambda button=button: page.js(ON_TOP, button), 3)
    page.click(".toast button")
    assert not page.count(".toast")
    assert not page.count(".has-toasts")


def test_a_note_covers_no_button_of_a_dialog(page, row):
    page.be_wide(400, 700)
    page.open()
    page.click(f"#exchange-{row.pk} [data-button=setup]")
    page.wait_for("dialog[open]", "Setup")
    page.driver.execute_async_script(TOAST, "It was refused, for a reason that is rather long.")
    for button in page.all("dialog[open] button, dialog[open] a.button-like"):
        page.js("arguments[0].scrollIntoView({block: 'nearest'})", button)
        page.wait(lambda button=button: page.js(ON_TOP, button), 3)


def test_the_newest_candles_show_their_close_on_a_phone(page, redis, row):
    with running(redis, row) as one:
        one.wait_until_live()
        page.open(f"/admin/network/{row.pk}/pairs/BTC-USD/1h/")
        for width in (400, 360):
            page.be_wide(width)
            cells, left, right = page.js(CLOSES)
            assert cells[0][0] == "Close" and len(cells) > 5
            assert all(left <= start and end <= right <= width for _, start, end in cells)
            assert len({start for _, start, _ in cells}) == 1


def test_the_foot_of_the_page_tells_the_version(page):
    page.open()
    assert page.text("#footer") == f"Livermore {__version__}"
