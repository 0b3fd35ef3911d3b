"""The chart that goes with a message: where a service takes pictures, and never in its way."""

import io
import sys

import pytest
from django.utils import timezone
from PIL import Image

from alerts.delivery.sending import send
from alerts.models import Alert, Delivery
from alerts.signals import picture
from alerts.signals.picture import DOWN, HEIGHT, WIDTH, drawn, picture_of
from exchanges.models import Exchange
from tests.alerts.signals.market import BTC, TURNS, Market, candles, closes_of_drop, opens

pytestmark = pytest.mark.django_db
BARS = candles(closes_of_drop(40))
PNG = b"\x89PNG"


@pytest.fixture
def alert(redis):
    exchange = Exchange.objects.get(name="sandbox")
    Market(redis, exchange.pk).write(BARS)
    at = timezone.datetime.fromtimestamp(opens(TURNS + 1) / 1000, timezone.timezone.utc)
    return Alert.objects.create(
        what="reversal",
        exchange=exchange,
        text="it turns",
        members={"BTC-USD 1m": "it turns"},
        is_moment=True,
        first_seen=at,
        last_seen=at,
    )


@pytest.fixture
def delivery(alert, channel):
    now = timezone.now()
    times = dict.fromkeys(("next_try_at", "created_at", "changed_at"), now)
    return Delivery.objects.create(alert=alert, channel=channel, text="it turns", tries=1, **times)


def test_it_shows_the_bars_up_to_the_signal(alert):
    rows = [each.values() for each in BARS if each.timestamp <= opens(TURNS)]
    found = picture_of(alert)
    assert found == drawn(rows, BTC, "BTC-USD 1m at sandbox")
    image = Image.open(io.BytesIO(found))
    assert image.size == (WIDTH, HEIGHT)
    colors = {color for _, color in image.getcolors(1_000_000)}
    assert tuple(bytes.fromhex(DOWN[1:])) in colors  # the drop is among the last 60 bars
    assert len(found) < 20_000


def test_of_what_waited_it_shows_the_bars_up_to_the_last_signal(alert):
    alert.first_seen -= timezone.timedelta(minutes=15)  # of another pair that waited with it
    rows = [each.values() for each in BARS if each.timestamp <= opens(TURNS)]
    assert picture_of(alert) == drawn(rows, BTC, "BTC-USD 1m at sandbox")


def test_it_goes_with_the_message(delivery, channel, receiver):
    assert send(channel, delivery).is_sent
    ((name, found),) = receiver.pictures[0]
    assert name == "chart.png" and found.startswith(PNG)


def test_a_message_that_was_not_taken_with_it_is_sent_without(delivery, channel, receiver):
    delivery.tries = 2
    assert send(channel, delivery).is_sent
    assert receiver.pictures == [[]]


def test_without_the_library_the_message_goes_out(delivery, channel, receiver, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert send(channel, delivery).is_sent
    assert receiver.messages == ["it turns"] and receiver.pictures == [[]]


def test_without_redis_the_message_goes_out(delivery, channel, receiver, monkeypatch):
    def fail(*_):
        raise ConnectionError("Redis is away")

    monkeypatch.setattr(picture, "get_redis_connection", fail)
    assert send(channel, delivery).is_sent
    assert receiver.pictures == [[]]


def test_what_is_no_signal_has_none(alert):
    alert.what = "hole"
    assert picture_of(alert) is None


@pytest.mark.parametrize("count", [1, 5, 40])
def test_few_candles_are_drawn_as_they_are(count):
    rows = [each.values() for each in candles([1.0] * count)]
    rows = [[row[0], 1e-8, 1e-8, 1e-8, 1e-8, 0.0] for row in rows]  # at one price
    assert drawn(rows, BTC, "quiet").startswith(PNG)


def test_nothing_is_drawn_of_nothing():
    assert drawn([], BTC, "empty") is None
