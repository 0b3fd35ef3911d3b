"""The Network page while the database or Redis is away: it says so, and recovers by itself."""

import pytest
from django.conf import settings

from alerts.page.summary import AWAY
from exchanges.redis.client import make_client
from tests.fixtures.sentinels import Sentinels
from tests.livermore.databases import SqliteFile, database
from tests.livermore.web_server import web_server
from tests.warmup.network.browser.chromium import Page, Web, chromium
from tests.warmup.network.operators import report_status


@pytest.fixture(scope="module")
def site():
    with (
        chromium() as driver,
        database(SqliteFile, settings.SECRET_KEY) as base,
        web_server(DATABASE_URL=base.url) as web,
    ):
        page = Page(driver, web)
        page._command(
            "Network.setCookie", name="sessionid", value=base.session, url=web.url("/admin/")
        )
        yield page, base


@pytest.mark.parametrize("way", ["locked", "a folder"])
def test_the_page_says_that_the_database_is_away_instead_of_live(site, way):
    page, base = site
    page.open()
    with base.away(way):
        page.wait_for("#link", "database away", seconds=40)
        assert "Live" not in page.text("#link")
        page.wait(lambda: page.attribute("#open-alerts", "title").endswith(AWAY))
        assert page.text("#open-alerts b") == "?"
    page.wait_for("#link", "Live", seconds=60)
    assert page.is_the_same


def test_a_page_that_was_cut_off_says_why_and_comes_back(site):
    page, base = site
    page.open()
    with base.away("a folder"):
        page.js("document.querySelector('[data-link-again]').click()")  # a socket that isn't let in
        page.wait_for("#link", "Stale since", seconds=20)
        page.wait_for("#link", "database away", seconds=20)
    page.wait_for("#link", "Live", seconds=60)
    assert page.is_the_same


def test_a_button_says_it_and_a_page_that_is_loaded_anew_waits_for_it(site):
    page, base = site
    page.open()
    with base.away("a folder"):
        page.click("#cards .card button[formaction]:not([hidden])")
        page.wait_for(".toast", "The database is away", seconds=20)
        page.open(live=False)
        assert "The database is away" in page.text("body")
    page.wait_for("#link", "Live", seconds=60)


# -- Redis


@pytest.fixture
def watched(tmp_path):
    with Sentinels(tmp_path) as watched:
        yield watched


@pytest.fixture
def page(browser, row, ada, watched, tmp_path):
    web = Web(tmp_path / "log", REDIS_URL=watched.url)
    page = Page(browser, web)
    page.log_in(ada)
    yield page
    page.reset()
    web.end()


@pytest.mark.django_db(transaction=True)
def test_a_page_tells_that_its_master_is_gone_and_follows_the_next_one(page, row, watched):
    with make_client(watched.url) as redis:
        report_status(redis, row)
        page.open()
        page.wait_for("#cards .card", "Active: streaming")
        old = watched.master()
        old.kill()
        page.wait_for("#cards .card", "Stale: Redis does not answer")
        watched.wait_for_another(old)
        report_status(redis, row, framesPerSecond=7)
        page.wait_for("#cards .card", "Active: streaming", 30)
        page.wait_for("#cards .card", "7.0 frames/s")
        assert page.is_the_same
