"""The web side's outer edge in a real Chromium: origins, policies, below a path."""

import shutil
import subprocess

import orjson
import pytest
from django.conf import settings

from exchanges.models import Exchange
from livermore.market import keys
from livermore.market.timeframe import Timeframe
from livermore.running.children import answers
from tests.fixtures.ports import free_port
from tests.livermore.web.reverse_proxy import ReverseProxy, with_header
from tests.warmup.network.browser import chromium as browsers
from tests.warmup.network.operators import listed_exchange, person
from tests.warmup.runners import ROOT

pytestmark = pytest.mark.django_db(transaction=True)

MISSING, FORBIDDEN = "status of 404", "status of 403"


@pytest.fixture(scope="module")
def browser():
    with browsers.chromium() as driver:
        yield driver


@pytest.fixture
def row(redis):
    Exchange.objects.exclude(name="sandbox").delete()
    return listed_exchange()


@pytest.fixture
def serve(browser, row, tmp_path):
    """Start the web side with arguments and settings of the test's own."""
    started = []

    def serve(*arguments, **environment):
        started.append(browsers.Web(tmp_path / "log", *arguments, **environment))
        return started[-1]

    yield serve
    for web in started:
        web.end()


@pytest.fixture(scope="module")
def usual(browser, django_db_setup, tmp_path_factory):
    """Return the web side without arguments or settings of a test's own."""
    web = browsers.Web(tmp_path_factory.mktemp("usual") / "log")
    yield web
    web.end()


@pytest.fixture
def look(browser):
    """Return a page as somebody who may do all sees it through a port."""
    pages = []

    def look(place, logged_in=True, cookie=settings.SESSION_COOKIE_NAME):
        page = browsers.Page(browser, place)
        pages.append(page)
        if logged_in:
            page.log_in(person("ada", is_superuser=True), cookie=cookie)
        return page

    yield look
    for page in pages:
        page.reset()


class Place:
    """Where a browser finds the web side."""

    def __init__(self, port, below=""):
        self.port, self._below = port, below

    def url(self, path, host="127.0.0.1"):
        return f"http://{host}:{self.port}{self._below}{path}"


def test_a_page_whose_socket_is_refused_says_which_setting_lacks_what(usual, row, look):
    with ReverseProxy(
        usual.port, lambda line, headers: (line, with_header(headers, "Host", "localhost"))
    ) as proxy:
        page = look(Place(proxy.port))
        page.open(live=False)
        missing = f"http://127.0.0.1:{proxy.port} is not in LIVERMORE_TRUSTED_ORIGINS"
        page.wait_for("#link", missing)
        assert "knows its pages as http://localhost" in page.text("#link")
        assert "Stale since" in page.text("#link")
        origin = (
            f"socket.origin_refused origin=http://127.0.0.1:{proxy.port} expected=http://localhost"
        )
        assert origin in usual.log
        page.reset()


def test_what_the_message_asks_for_lets_the_page_in(serve, look):
    with ReverseProxy(
        0, lambda line, headers: (line, with_header(headers, "Host", "localhost"))
    ) as proxy:
        web = serve(LIVERMORE_TRUSTED_ORIGINS=f"http://127.0.0.1:{proxy.port}")
        proxy._to = web.port
        page = look(Place(proxy.port))
        page.open()
        page.reset()


# -- Below a path


def whole(line, headers):
    return line, headers


def without_path(line, headers):
    """Take the path away, as `proxy_pass http://127.0.0.1:8000/;` of nginx does."""
    method, path, version = line.split(" ")
    return f"{method} {path.removeprefix('/some/where')} {version}", headers


@pytest.fixture(
    scope="module",
    params=[(["--root-path", "/some/where"], {}), ([], {"LIVERMORE_ROOT_PATH": "/some/where/"})],
    ids=["argument", "setting"],
)
def below(request, browser, django_db_setup, tmp_path_factory):
    """Return the web side below a path, and where its cookies are."""
    arguments, environment = request.param
    web = browsers.Web(tmp_path_factory.mktemp("below") / "log", *arguments, **environment)
    yield web, "/some/where" if environment else "/"
    web.end()


@pytest.mark.parametrize("rewrite", [whole, without_path])
def test_below_a_path_all_of_it_works(below, look, browser, row, candles, rewrite):
    web, path_of_cookies = below
    user = person("ada", is_superuser=True)
    user.set_password("a good password")
    user.save()
    with ReverseProxy(web.port, rewrite) as proxy:
        page = look(Place(proxy.port, "/some/where"), logged_in=False)
        page.open("/", live=False)
        page.type("#id_username", "ada")
        page.type("#id_password", "a good password")
        page.click("[type=submit]")
        page.wait(lambda: page.count("#network-link a"))
        page.click("#network-link a")
        page.wait_for("#link", "Live")
        page.click(f"a[href$='{row.pk}/pairs/BTC-USD/1h/']")
        page.wait_for("#link", "Live")
        page.wait_for("#bar", "UTC")
        page.click("form[data-action] button.primary")
        page.wait_for("#toasts", "Connect starts it")
        page.open("/admin/exchanges/exchange/", live=False)
        page.click("a[href$='/change/']")
        page.wait_for("#content", "Change exchange")
        page.open("/health/live/", live=False)
        page.wait_for("body", "true")
        paths = {cookie["path"] for cookie in browser.get_cookies()}
        assert paths == {path_of_cookies}
        lost = [text for text in page.complaints() if MISSING in text]
        assert not [text for text in lost if "favicon.ico" not in text]
        page.reset()


NGINX = """
daemon off;
pid {folder}/pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {upgrade}
    server {{
        listen 127.0.0.1:{port};
        {location}
    }}
}}
"""


@pytest.mark.skipif(
    not shutil.which("nginx"), reason="there is no nginx here; ReverseProxy stands for it"
)
@pytest.mark.parametrize("path", ["", "/livermore"])
def test_nginx_as_the_document_has_it_serves_all_of_it(serve, look, tmp_path, path):
    web = serve(LIVERMORE_BEHIND_PROXY="true", LIVERMORE_ROOT_PATH=path)
    text = (ROOT / "docs/handoff-binance-us.md").read_text()
    upgrade = text[text.index("map $http_upgrade") :].partition("\n")[0]
    location = text[text.index("location / {") :].partition("}")[0] + "}"
    location = location.replace("127.0.0.1:8000", f"127.0.0.1:{web.port}")
    location = location.replace("location / ", f"location {path}/ ")
    port = free_port()
    settings = {"folder": tmp_path, "port": port, "upgrade": upgrade, "location": location}
    (tmp_path / "conf").write_text(NGINX.format(**settings))
    nginx = subprocess.Popen(["nginx", "-p", tmp_path, "-c", tmp_path / "conf"])
    try:
        page = look(Place(port, path), cookie="livermore_sessionid" if path else "sessionid")
        page.wait(lambda: answers(f"http://127.0.0.1:{port}{path}/health/live/"))
        page.open()
        page.js("document.querySelector('button[data-button=check]').click()")
        page.wait(lambda: page.count("dialog[open]"))
        assert not [text for text in page.complaints() if MISSING in text or FORBIDDEN in text]
        page.reset()
    finally:
        nginx.terminate()
        nginx.wait(10)


# -- What pages may run


HOUR_MS = Timeframe.H1.ms


@pytest.fixture
def candles(redis, row):
    """Let a pair have candles, for its chart."""
    newest = Timeframe.H1.floor(redis.time()[0] * 1000) - HOUR_MS
    for number in range(80):
        time_ms = newest - number * HOUR_MS
        candle = orjson.dumps([time_ms, 100.0, 110.0 + number, 90.0, 105.0, 3.0])
        redis.zadd(keys.candles(row.pk, "BTC-USD", "1h"), {candle: time_ms})


@pytest.fixture
def page(usual, look, candles):
    return look(usual)


def violations(page):
    return [text for text in page.complaints() if "Content Security Policy" in text]


def test_a_violation_would_be_noticed(page):
    page.open()
    page.js("document.body.setAttribute('style', 'x')")
    page.js(
        "document.head.append(Object.assign(document.createElement('style'), {textContent: 'p{}'}))"
    )
    assert violations(page)


def test_the_network_page_and_its_dialogs_break_no_policy(page):
    page.open()
    links = page.js(
        "return [...document.querySelectorAll('a[data-dialog]:not([hidden])')].map(a => a.href)"
    )
    assert links
    for number in range(len(links)):
        page.js(
            "[...document.querySelectorAll('a[data-dialog]:not([hidden])')][arguments[0]].click()",
            number,
        )
        page.wait(lambda: page.count("dialog[open]"))
        page.js("document.querySelector('dialog[open]').close()")
    page.js("document.querySelector('button[data-button=check]')?.click()")
    assert violations(page) == []


def test_a_pairs_chart_is_drawn_and_breaks_no_policy(page, row):
    page.open(f"/admin/network/{row.pk}/pairs/BTC-USD/1h/")
    page.wait(lambda: page.count("#chart canvas"))
    page.wait_for("#bar", "UTC")
    page.click("[data-chart=closer]")
    assert violations(page) == []


ADMIN = [
    "/admin/", "/admin/exchanges/exchange/", "/admin/exchanges/exchange/{pk}/change/",
    "/admin/exchanges/exchange/{pk}/history/", "/admin/exchanges/exchange/{pk}/delete/",
    "/admin/exchanges/symbol/?q=BTC", "/admin/exchanges/userexchange/add/", "/admin/auth/user/add/",
    "/admin/auth/user/", "/admin/password_change/", "/nowhere/",
]  # fmt: skip


def test_the_admins_pages_break_no_policy(page, row):
    for path in ADMIN:
        page.open(path.format(pk=row.pk), live=False)
        page.wait(lambda: page.js("return document.readyState") == "complete")
        assert violations(page) == [], path
        if page.count("#header"):  # it is a page of the admin's
            assert page.one(".to-network").is_displayed()


def test_the_login_breaks_no_policy(page):
    page._command("Network.clearBrowserCookies")
    page.open("/admin/login/", live=False)
    page.type("#id_username", "nobody")
    page.type("#id_password", "nothing")
    page.click("[type=submit]")
    page.wait_for(".errornote", "correct username")
    page._command("Network.clearBrowserCookies")
    page.type("#id_password", "nothing")  # which is never sent back to the page
    page.click("[type=submit]")
    page.wait_for(".errornote", "cookie")
    assert violations(page) == []
