"""The page of a pair: its chart, its holes, its numbers."""

import re
from datetime import UTC, datetime

import orjson
import pytest
from selenium.webdriver.common.keys import Keys

from exchanges.sandbox.server.config import SandboxConfig
from exchanges.sandbox.server.server import SandboxServer
from livermore.market import keys
from livermore.market.timeframe import Timeframe
from tests.warmup.network.browser import chromium as browsers
from tests.warmup.runners import SYMBOLS, chosen, make_row, running

pytestmark = pytest.mark.django_db(transaction=True)


def looked_at(page):
    """Return what the line above the chart says."""
    return " ".join(page.text("#bar").split())


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
        page.wait_for("#bar", "still open")
        shown = page.text("#bar")
        page.wait(lambda: page.text("#bar") != shown, 30)
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
    redis.zremrangebyscore(keys.candles(row.pk, "BTC-USD", "1h"), parts[0][1], parts[1][0] - 1)
    page.open(f"{browsers.NETWORK}{row.pk}/pairs/BTC-USD/1h/")
    assert page.text("[data-missing]") == "(1 stretch)"
    page.wait(lambda: page.js(TINTED))
    page.one("#chart").send_keys(Keys.ARROW_LEFT * 19)
    page.wait_for("#bar", "missing")
    page.one("#chart").send_keys(Keys.END, Keys.ARROW_LEFT)
    page.wait_for("#bar", "MACD-V")


# Whether anything on the chart has the colour of a hole and lets the page through.
TINTED = """
return [...document.querySelectorAll("#chart canvas")].some((canvas) => {
  if (!canvas.width || !canvas.height) return false;
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  for (let at = 0; at < data.length; at += 4) {
    if (data[at] > 2 * data[at + 1] && data[at + 3] > 40 && data[at + 3] < 80) return true;
  }
  return false;
});
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
        page.one("#chart").send_keys(Keys.ARROW_LEFT * 2)
        page.wait(lambda: "C 0.00000042 +2.44 % Volume 0.0000002" in looked_at(page))
        assert not re.search(r"\d(e|μ|n)", page.text("#bar"))


PLAIN = """
const [numbers, done] = arguments;
const script = document.querySelector("script[src$='/pair/page.js']").src;
import(script.replace("pair/page.js", "numbers.js")).then((found) => {
  done(numbers.map((each) => found[arguments[2]](each)));
});
"""


def written(page, function, numbers):
    """Return what a function of static/network/numbers.js makes of each."""
    script = PLAIN.replace("arguments[2]", f"'{function}'")
    return page.driver.execute_async_script(script, list(numbers))


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
    assert written(page, "plain", numbers) == list(numbers.values())
    short = {1234567: "1.23 M", 999600: "1 M", 999: "999", 12.3456: "12.3", 4.1e-07: "0.00000041"}
    assert written(page, "short", short) == list(short.values())
    signed = {1.254: "+1.25 %", -12.3: "−12.30 %", -0.001: "0.00 %", 0: "0.00 %"}
    assert written(page, "signed", signed) == list(signed.values())
    decimals = [[67012.37, 66000.5], [4.1e-07, 1], [0.1 + 0.2], [100, 2000], []]
    assert written(page, "decimalsOf", decimals) == [2, 8, 1, 0, 0]


# What a page knows of a pair with bars of a minute, numbered from a thousand on.
QUIET = """
const done = arguments[0];
const ms = (bar) => (1000 + bar) * 60000;
const row = (bar) => [ms(bar), 1, 1, 1, 1, 1];
const script = document.querySelector("script[src$='/pair/page.js']").src;
import(script.replace("page.js", "data.js")).then(({PairData}) => {
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


HOUR = Timeframe.H1.ms


def write_hours(redis, row, count):
    """Have so many closed hours, all alike; return when the first opened."""
    first = Timeframe.H1.floor(int(datetime.now(UTC).timestamp() * 1000)) - count * HOUR
    end = first + count * HOUR
    rows = {orjson.dumps([at, 1, 3, 1, 2, 5]): at for at in range(first, end, HOUR)}
    redis.zadd(keys.candles(row.pk, "BTC-USD", "1h"), rows)
    redis.set(keys.coverage(row.pk, "BTC-USD", "1h"), orjson.dumps([[first, end]]))
    return first


def at(ms):
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M} UTC"


def test_older_candles_come_as_the_reader_goes_back(page, redis, row):
    first = write_hours(redis, row, 700)
    page.open(f"{browsers.NETWORK}{row.pk}/pairs/BTC-USD/1h/")
    page.one("#chart").send_keys(Keys.HOME)
    page.wait_for("#bar", at(first + 400 * HOUR))

    def is_oldest():
        page.one("#chart").send_keys(Keys.HOME)
        return at(first) in page.text("#bar")

    page.wait(is_oldest)
    page.one("#chart").send_keys(Keys.ARROW_RIGHT)
    page.wait_for("#bar", at(first + HOUR))
    assert page.complaints() == []


CLIPBOARD = ["clipboardReadWrite", "clipboardSanitizedWrite"]


def test_the_key_and_the_readers_line_are_copied(page, redis, row):
    write_hours(redis, row, 60)
    page.open(f"{browsers.NETWORK}{row.pk}/pairs/BTC-USD/1h/")
    page.driver.execute_cdp_cmd(
        "Browser.grantPermissions", {"permissions": CLIPBOARD, "origin": page.web.url("")}
    )
    read = "navigator.clipboard.readText().then(arguments[0])"
    for name, text in {
        "key": keys.candles(row.pk, "BTC-USD", "1h"),
        "line": 'lm.candles("sandbox", "BTC-USD", "1h", 100)',
    }.items():
        page.click(f"[data-copy=copy-{name}]")
        page.wait_for("#toasts", f"Copied: {text}")
        assert page.driver.execute_async_script(read) == text


def test_a_pairs_page_fits_a_phone(page, redis, row):
    write_hours(redis, row, 60)
    page.be_wide(400)
    page.open(f"{browsers.NETWORK}{row.pk}/pairs/BTC-USD/1h/")
    root = "document.documentElement"
    assert page.js(f"return {root}.scrollWidth <= {root}.clientWidth")
