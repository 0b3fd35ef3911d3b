"""A chart that goes back beyond the cache, into history."""

import pytest

from history.places.folder import Folder
from livermore.market.indicators import macd_v_series
from tests.history.past import BTC, H1, KEPT, Past
from tests.warmup.network.views.addresses import JSON, url

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def past(redis, tmp_path, settings):
    settings.HISTORY = str(tmp_path)
    return Past(Folder(tmp_path), redis)


def older(browser, past, before_ms):
    address = f"{url('pair', past.row, BTC, '1h')}?before={before_ms}"
    return browser.get(address, headers={"Accept": JSON}).json()


def test_it_goes_back_to_the_first_candle_that_history_has(past, browser):
    seen, before_ms = [], past.open_ms
    while rows := older(browser, past, before_ms)["candles"]:
        seen = rows + seen
        before_ms = rows[0][0]
    assert seen == past.rows()


def test_macd_v_is_what_it_would_be_over_all_of_it(past, browser):
    found = older(browser, past, past.first_ms + 2000 * H1.ms)
    value = macd_v_series(past.rows(0, 2000), H1).values[-500:]
    assert [point[0] for point in found["macdv"]] == [row[0] for row in past.rows(1500, 2000)]
    assert [point[1] for point in found["macdv"]] == pytest.approx(value, rel=1e-6)


def test_where_history_cant_be_read_the_cache_is_shown(past, browser, settings, caplog):
    settings.HISTORY = "/dev/null/history"
    assert older(browser, past, past.open_ms)["candles"] == past.rows(KEPT - 100)
    assert "history of sandbox" in caplog.text
