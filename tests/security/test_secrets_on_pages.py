"""No page shows a secret, not even one of an error."""

import pytest
from django.views.debug import get_default_exception_reporter_filter

from exchanges.models import UserExchange
from tests.security.canaries import PIECE, SECRET, fetch
from tests.security.careless_views import FAILING

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(
    ("debug", "accept"), [(False, "text/html"), (True, "text/html"), (True, "text/plain")]
)
def test_an_error_page_shows_no_secret(
    browser, settings, sandbox, everywhere, redis, short_timeouts, debug, accept
):
    settings.DEBUG = debug
    sandbox.stop()
    redis.set("something", 1)
    pages = {}
    for view in FAILING:
        code, pages[view.__name__] = fetch(
            browser, f"/{view.__name__}/", headers={"accept": accept}
        )
        assert (code, "Traceback" in pages[view.__name__]) == (500, debug)
    assert everywhere(**pages) == {}


@pytest.mark.parametrize("accept", ["text/html", "text/plain"])
def test_an_error_page_shows_no_secret_that_code_was_careless_with(
    browser, settings, canaries, logs, accept
):
    settings.DEBUG = True
    code, page = fetch(browser, "/careless/", headers={"accept": accept})
    assert code == 500
    assert canaries.sung(page) == []
    assert ("connection_pool" in page) is (accept == "text/html")  # variables and source
    assert canaries.sung(logs["raw"].getvalue())  # it was very careless
    assert canaries.sung(logs["text"].getvalue() + logs["json"].getvalue()) == []


@pytest.fixture
def djangos_own(settings):
    """Let errors be shown as Django would without us."""
    settings.DEFAULT_EXCEPTION_REPORTER = "django.views.debug.ExceptionReporter"
    settings.DEFAULT_EXCEPTION_REPORTER_FILTER = "django.views.debug.SafeExceptionReporterFilter"
    get_default_exception_reporter_filter.cache_clear()
    yield
    get_default_exception_reporter_filter.cache_clear()


def test_djangos_own_error_page_would_show_them(browser, settings, canaries, djangos_own):
    settings.DEBUG = True
    _, page = fetch(browser, "/careless/", headers={"accept": "text/html"})
    assert {"secret", "redis", "database"} <= set(canaries.sung(page))


def test_an_error_page_does_not_show_what_became_of_a_secret(browser, settings):
    settings.DEBUG = True
    _, page = fetch(browser, "/decoding/", headers={"accept": "text/html"})
    assert "BadCredentials" in page
    assert PIECE * "\\x07" not in page


def test_djangos_own_error_page_would_show_that_too(browser, settings, djangos_own):
    settings.DEBUG = True
    _, page = fetch(browser, "/decoding/", headers={"accept": "text/html"})
    assert PIECE * "\\x07" in page


def test_no_page_shows_a_secret(browser, row, canaries, sandbox, everywhere, monkeypatch):
    account = UserExchange.objects.get()
    pages = {
        address: fetch(browser, address)[1]
        for address in (
            "/admin/", "/admin/exchanges/exchange/", "/admin/exchanges/userexchange/",
            f"/admin/exchanges/exchange/{row.pk}/change/", "/health/", "/metrics",
            f"/admin/exchanges/userexchange/{account.pk}/change/",
        )
    }  # fmt: skip
    assert f"{SECRET}: set" in pages[f"/admin/exchanges/userexchange/{account.pk}/change/"]
    bearer = {"Authorization": f"Bearer {canaries['token']}"}
    status_code, pages["metrics"] = fetch(browser, "/metrics", headers=bearer)
    assert status_code == 200
    pages["pasted"] = paste_secrets(browser, account, canaries)
    monkeypatch.setenv(SECRET, canaries["no_key"])
    pages["synced"] = sync(browser, row)
    assert "newly monitored" in pages["synced"]
    assert everywhere(**pages) == {}


def paste_secrets(browser, account, canaries):
    """Write the secrets where the names of their variables belong."""
    form = {
        "user": account.user_id, "exchange": account.exchange_id, "display_name": "main",
        "api_key_env": canaries["key"], "api_secret_env": canaries["secret"],
        "passphrase_env": canaries["passphrase"], "is_active": "on",
    }  # fmt: skip
    page = browser.post(f"/admin/exchanges/userexchange/{account.pk}/change/", form)
    assert b"was not stored" in page.content
    return page.content.decode()


def sync(browser, row):
    form = {"action": "sync_symbols", "_selected_action": row.pk}
    return browser.post("/admin/exchanges/exchange/", form, follow=True).content.decode()
