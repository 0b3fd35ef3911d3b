"""The Network page in a real Chromium, against the real web side, a Redis and the sandbox."""

import pytest

from exchanges import accounts
from exchanges.models import Exchange, UserExchange
from exchanges.sandbox.server.config import SandboxConfig
from exchanges.sandbox.server.server import SandboxServer
from tests.warmup.network.browser import chromium as browsers
from tests.warmup.network.operators import person
from tests.warmup.runners import SYMBOLS, chosen, make_row, processes


@pytest.fixture(scope="package")
def browser():
    """Return a real browser."""
    with browsers.chromium() as driver:
        yield driver


@pytest.fixture(scope="package")
def web(browser, django_db_setup, tmp_path_factory):
    """Return the web side in a process of its own, for the browser."""
    server = browsers.Web(tmp_path_factory.mktemp("web") / "log")
    yield server
    server.end()


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


@pytest.fixture
def two_accounts(ada, row):
    return [
        accounts.save_account(UserExchange(user=ada, exchange=row, display_name=name))
        for name in ("Main", "Spare")
    ]
