import os
import shutil
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from django.conf import settings
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from benchmarks.fixtures.bench import Bench
from benchmarks.fixtures.candles import fill
from benchmarks.fixtures.web import Web, sessions, web_server
from benchmarks.measurement import Measurement
from exchanges.models import Exchange
from livermore.market.candle import Ticker
from livermore.market.pair import pairs_of
from livermore.market.timeframe import Timeframe
from warmup.cache.candles import CandleCache
from warmup.cache.indicators import IndicatorCache
from warmup.cache.tickers import TickerCache

SYMBOLS = 1000
LOADS, MOVING_SECONDS = 9, 30
PAINTED_TARGET_MS, MESSAGES_TARGET = 1000, 4
FRAME_TARGET_MS = 100  # what one notices as a stutter
SECONDS_TO_PAINT = 30
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1280,1000")
PAGE = "/admin/network/signals/"
# What a page notes of itself: when its rows are painted, each message and each long frame.
NOTING = """
window.noted = { painted: null, messages: [], bytes: 0, frames: [] };
const isThere = () => document.querySelector(".signal-row a[data-stage]:not([data-stage=''])");
const look = () => {
  if (isThere()) requestAnimationFrame(() => setTimeout(() => (noted.painted = performance.now())));
  else requestAnimationFrame(look);
};
requestAnimationFrame(look);
const Plain = WebSocket;
window.WebSocket = class extends Plain {
  constructor(...given) {
    super(...given);
    this.addEventListener("message", ({ data }) => {
      noted.messages.push(performance.now());
      noted.bytes += data.length;
    });
  }
};
const take = (list) => list.getEntries().forEach((each) => noted.frames.push(each.duration));
new PerformanceObserver(take).observe({ type: "longtask" });
"""
RESET = "Object.assign(noted, { messages: [], bytes: 0, frames: [] })"


def measure(bench: Bench) -> Iterator[Measurement]:
    exchange, symbols = bench.exchange(SYMBOLS)
    fill(CandleCache(bench.redis, exchange.pk), symbols)
    market = _Market(bench, exchange, symbols)
    market.move()
    with web_server() as web, _chromium() as driver, market.moving():
        cookie = {"name": settings.SESSION_COOKIE_NAME, "value": sessions(1)[0]}
        driver.execute_cdp_cmd("Network.setCookie", cookie | {"url": f"{_url(web)}/admin/"})
        driver.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
        driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": NOTING})
        yield _painted(driver, web, symbols)
        yield from _moving(driver, web, symbols)


class _Market:
    """All pairs of an exchange, whose prices and MACD-V all change each second."""

    def __init__(self, bench: Bench, exchange: Exchange, symbols: Sequence[str]):
        self._tickers = TickerCache(bench.redis, exchange.pk)
        self._indicators = IndicatorCache(bench.redis, exchange.pk)
        self._symbols = symbols
        self._count = 0
        self._stopping = threading.Event()

    def move(self) -> None:
        self._count += 1
        now_ms = int(time.time() * 1000)
        self._tickers.write_many(
            Ticker(symbol, 100.0 + n + self._count / 100, 1.0, 1.5, 1.0, 1.0, 10.0, now_ms)
            for n, symbol in enumerate(self._symbols)
        )
        self._indicators.write_many(
            {pair: _value(pair.timeframe, n + self._count, now_ms)
             for n, pair in enumerate(pairs_of(self._symbols))}
        )  # fmt: skip

    @contextmanager
    def moving(self) -> Iterator[None]:
        thread = threading.Thread(target=self._run)
        thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(1.0):
            self.move()


def _value(timeframe: Timeframe, number: int, now_ms: int) -> dict:
    value = (number % 600 - 300) / 1.0
    stages = ("oversold", "reversing", "retracing", "ranging", "rebounding", "rallying")
    return {
        "timestamp": timeframe.floor(now_ms) - timeframe.ms,
        "value": value,
        "stage": stages[number % len(stages)],
        "coverageComplete": True,
    }


def _painted(driver: webdriver.Chrome, web: Web, symbols: Sequence[str]) -> Measurement:
    _load(driver, web)  # the first fills caches
    used = web.cpu_seconds()
    took = [_load(driver, web) for _ in range(LOADS)]
    used = 1000 * (web.cpu_seconds() - used) / LOADS
    what = f"Signals of {len(symbols):,} symbols x 6, painted with its rows"
    note = f"median of {LOADS} loads, {min(took):.0f} to {max(took):.0f} ms; "
    note += f"{used:.0f} ms of the server's core for each, with its socket"
    return Measurement(what, statistics.median(took), "ms", PAINTED_TARGET_MS, note)


def _load(driver: webdriver.Chrome, web: Web) -> float:
    driver.get(f"{_url(web)}{PAGE}")
    deadline = time.monotonic() + SECONDS_TO_PAINT
    while (painted := driver.execute_script("return noted.painted")) is None:
        assert time.monotonic() < deadline, "no row was painted"
        time.sleep(0.02)
    return painted


def _moving(driver: webdriver.Chrome, web: Web, symbols: Sequence[str]) -> Iterator[Measurement]:
    """Measure what the page gets and does while all of it moves, and it is scrolled."""
    time.sleep(3)  # until it is live
    driver.execute_script(RESET)
    began, used, served = time.monotonic(), _page_seconds(driver), web.cpu_seconds()
    for second in range(MOVING_SECONDS):
        script = "document.querySelector('.signals-scroll').scrollTop = arguments[0]"
        driver.execute_script(script, 700 * (second % 40))
        time.sleep(1)
    seconds = time.monotonic() - began
    used, served = _page_seconds(driver) - used, web.cpu_seconds() - served
    noted = driver.execute_script("return noted")
    most = _most_in_a_second(noted["messages"])
    note = f"{len(noted['messages']) / seconds:.1f} a second on the average"
    what = f"messages in the busiest second, all {6 * len(symbols):,} pairs moving"
    yield Measurement(what, most, "", MESSAGES_TARGET, note)
    kilobytes = noted["bytes"] / 1000 / seconds
    yield Measurement("of which kB a second, before compression", kilobytes, "kB/s")
    note = f"the web server takes {100 * served / seconds:.0f} % of another"
    yield Measurement("share of a core that the page takes", 100 * used / seconds, "%", note=note)
    longest = max(noted["frames"], default=0)
    note = f"of {len(noted['frames'])} tasks above 50 ms, while it moves and is scrolled"
    yield Measurement(
        "the longest that the page stands still", longest, "ms", FRAME_TARGET_MS, note
    )


def _page_seconds(driver: webdriver.Chrome) -> float:
    """Return for how long the page's thread has worked, other processes' turns left out."""
    found = driver.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
    return next(each["value"] for each in found if each["name"] == "TaskDuration")


def _most_in_a_second(times_ms: Sequence[float]) -> int:
    return max((sum(at <= each < at + 1000 for each in times_ms) for at in times_ms), default=0)


def _url(web: Web) -> str:
    return f"http://127.0.0.1:{web.port}"


@contextmanager
def _chromium() -> Iterator[webdriver.Chrome]:
    browser = next(filter(None, map(shutil.which, CHROMIUM)), None)
    driver_path = shutil.which("chromedriver")
    assert browser and driver_path, "no chromium and chromedriver on the PATH"
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in ARGUMENTS:
        options.add_argument(argument)
    os.environ["SE_OFFLINE"] = "true"
    driver = webdriver.Chrome(options=options, service=Service(executable_path=driver_path))
    try:
        yield driver
    finally:
        driver.quit()
