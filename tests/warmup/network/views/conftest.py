"""Ada's browser, with scripts and without."""

import pytest

from tests.warmup.network.operators import listed_exchange, person
from tests.warmup.network.views.addresses import JSON, url


@pytest.fixture
def row(redis):
    return listed_exchange()


@pytest.fixture
def ada():
    return person("ada", "operate_exchange")


@pytest.fixture
def browser(client, ada):
    """Return Ada's browser."""
    client.force_login(ada)
    return client


@pytest.fixture
def page(browser):
    """Return the text of an address, and its status."""

    def page(*address, **query):
        response = browser.get(url(*address), query)
        return response.content.decode(), response.status_code

    return page


@pytest.fixture
def script(browser):
    """Send a form as a script does; return the status and the answer."""

    def script(*address, query="", **data):
        response = browser.post(url(*address) + query, data, headers={"Accept": JSON})
        assert response["Content-Type"] == JSON, response.content
        return response.status_code, response.json()

    return script


@pytest.fixture
def form(browser):
    """Send a form as a browser without scripts does; return the page one is led to."""

    def form(*address, query="", **data):
        response = browser.post(url(*address) + query, data, follow=True)
        return response.content.decode(), response.status_code

    return form
