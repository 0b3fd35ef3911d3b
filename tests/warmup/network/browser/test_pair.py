"""The page of a pair: its chart, its holes, its numbers."""

import re
from datetime import UTC, datetime

import orjson
import pytest

from exchanges.sandbox.server.config import SandboxConfig
from exchanges.sandbox.server.server import SandboxServer
from livermore.market import keys
from tests.warmup.network.browser import chromium as browsers
from tests.warmup.runners import SYMBOLS, chosen, make_row, running

pytestmark = pytest.mark.django_db(transaction=True)


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
