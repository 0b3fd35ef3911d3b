"""The web side behind a proxy, in a real Chromium: what a page is told, and below a path."""

import pytest

from exchanges.models import Exchange
from tests.livermore.front import Front, with_header
from tests.warmup import browser as browsers
from tests.warmup.operators import listed_exchange, person

pytestmark = pytest.mark.django_db(transaction=True)


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


@pytest.fixture
def look(browser):
    """Return a page as somebody who may do all sees it through a port."""
    pages = []

    def look(place, user=None):
        page = browsers.Page(browser, place)
        page.log_in(user or person("ada", is_superuser=True))
        pages.append(page)
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


def test_a_page_whose_socket_is_refused_says_which_setting_lacks_what(serve, look):
    web = serve()
    with Front(
        web.port, lambda line, headers: (line, with_header(headers, "Host", "localhost"))
    ) as front:
        page = look(Place(front.port))
        page.open(live=False)
        missing = f"http://127.0.0.1:{front.port} is not in LIVERMORE_TRUSTED_ORIGINS"
        page.wait_for("#link", missing)
        assert "knows its pages as http://localhost" in page.text("#link")
        assert "Stale since" in page.text("#link")
        origin = (
            f"socket.origin_refused origin=http://127.0.0.1:{front.port} expected=http://localhost"
        )
        assert origin in web.log
        page.reset()


def test_what_the_message_asks_for_lets_the_page_in(serve, look):
    with Front(0, lambda line, headers: (line, with_header(headers, "Host", "localhost"))) as front:
        web = serve(LIVERMORE_TRUSTED_ORIGINS=f"http://127.0.0.1:{front.port}")
        front._to = web.port
        page = look(Place(front.port))
        page.open()
        page.reset()
