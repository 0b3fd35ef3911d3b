"""The socket itself: who is let in, who is dropped, what it makes of what browsers say."""

import re
from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async
from channels.layers import get_channel_layer
from channels.routing import URLRouter
from channels.sessions import SessionMiddlewareStack
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import path
from django.utils import timezone

from exchanges.models import Exchange
from exchanges.redis.change_notifications import changed
from livermore.asgi import application
from tests.warmup.network.operators import held_by, listed_exchange, person
from tests.warmup.network.sockets import (
    Browser,
    browsing,
    in_a_loop,
    log_in,
    subscribers,
    wait_until,
)
from warmup.network.socket import consumer as consumers
from warmup.network.socket.consumer import FLOOD_MESSAGES, NetworkConsumer
from warmup.network.socket.feed import current_feed
from warmup.network.socket.lifetime import Limits
from warmup.network.socket.outbox import Outbox

pytestmark = pytest.mark.django_db

QUICK = {"step_seconds": 0.01, "check_seconds": 0.02}


def serving(**options):
    """Return the consumer behind the session, with other limits than usual."""
    route = path("ws/network/", NetworkConsumer.as_asgi(**options))
    return SessionMiddlewareStack(URLRouter([route]))


def quick(**limits):
    return serving(limits=Limits(**QUICK | limits))


@pytest.fixture
def exchange(db, redis):
    return listed_exchange()


@pytest.fixture
def operator(exchange):
    return person("ada", "operate_exchange")


@pytest.fixture
def viewer(exchange):
    return person("eve", "view_exchange")


@pytest.fixture
def session(viewer):
    return log_in(viewer)


in_thread = sync_to_async(thread_sensitive=True)


# -- Who is let in


@pytest.mark.parametrize(
    "origin", [None, b"http://evil.example", b"null", b"", b"http://localhost.evil.example"]
)
@in_a_loop
async def test_without_our_own_origin_nobody_comes_in(session, origin):
    browser = Browser(application, session, origin=origin)
    connected, _ = await browser.connect()
    assert not connected


@in_a_loop
async def test_who_is_not_logged_in_is_refused(exchange):
    assert await Browser(application).connect() == (False, 4401)
    assert await Browser(application, "x" * 32).connect() == (False, 4401)


@pytest.mark.parametrize(
    ("permissions", "values"),
    [
        ([], {}),
        (["change_exchange"], {}),
        (["view_exchange", "operate_exchange"], {"is_staff": False}),
    ],
    ids=["none", "another", "no staff"],
)
@in_a_loop
async def test_who_has_no_permission_is_refused(exchange, permissions, values):
    session = await in_thread(log_in)(await in_thread(person)("bob", *permissions, **values))
    assert await Browser(application, session).connect() == (False, 4403)


@in_a_loop
async def test_a_user_who_was_locked_out_is_refused(viewer, session):
    await User.objects.filter(pk=viewer.pk).aupdate(is_active=False)
    assert await Browser(application, session).connect() == (False, 4401)


@in_a_loop
async def test_a_session_that_ran_out_is_refused(session):
    ran_out = timezone.now() - timedelta(seconds=1)
    await Session.objects.filter(pk=session).aupdate(expire_date=ran_out)
    assert await Browser(application, session).connect() == (False, 4401)


@pytest.mark.parametrize(
    ("permissions", "values", "expected"),
    [
        (["view_exchange"], {}, False),
        (["operate_exchange"], {}, True),
        ([], {"is_superuser": True}, True),
    ],
    ids=["viewer", "operator", "superuser"],
)
@in_a_loop
async def test_who_is_let_in_learns_what_they_may_do(exchange, permissions, values, expected):
    session = await in_thread(log_in)(await in_thread(person)("bob", *permissions, **values))
    async with browsing(application, session) as browser:
        assert browser.messages[0]["mayOperate"] is expected


@in_a_loop
async def test_there_is_nothing_at_other_addresses(session):
    for other in ("/ws/", "/ws/network", "/ws/network/4/", "/"):
        connected, _ = await Browser(application, session, path=other).connect()
        assert not connected


# -- Who has to go


@in_a_loop
async def test_a_logout_closes_the_socket(viewer):
    client = Client()
    await in_thread(client.force_login)(viewer)
    async with browsing(quick(), client.cookies["sessionid"].value) as browser:
        await in_thread(client.logout)()
        assert await browser.until_closed() == 4401


@in_a_loop
async def test_a_changed_password_closes_the_socket(viewer, session):
    async with browsing(quick(), session) as browser:
        viewer.set_password("another")
        await viewer.asave()
        assert await browser.until_closed() == 4401


@in_a_loop
async def test_a_lost_permission_closes_the_socket(viewer, session):
    async with browsing(quick(), session) as browser:
        await viewer.user_permissions.aclear()
        assert await browser.until_closed() == 4403


@in_a_loop
async def test_who_is_no_longer_staff_is_closed_out(viewer, session):
    async with browsing(quick(), session) as browser:
        await User.objects.filter(pk=viewer.pk).aupdate(is_staff=False)
        assert await browser.until_closed() == 4403


@in_a_loop
async def test_who_may_no_longer_act_is_told_so_and_stays(operator):
    viewing = await in_thread(person)("bob", "view_exchange", "operate_exchange")
    session = await in_thread(log_in)(viewing)
    async with browsing(quick(), session) as browser:
        assert browser.messages[0]["mayOperate"]
        permission = await viewing.user_permissions.aget(codename="operate_exchange")
        await viewing.user_permissions.aremove(permission)
        message = await browser.until(lambda message: message["type"] == "snapshot")
        assert not message["mayOperate"]


@in_a_loop
async def test_where_the_database_cannot_be_asked_nobody_stays_for_ever(session, monkeypatch):
    async with browsing(quick(longest_unchecked_seconds=0), session) as browser:
        monkeypatch.setattr(Session._meta, "db_table", "gone")
        assert await browser.until_closed() == 4503
        monkeypatch.undo()


@pytest.mark.parametrize("model", [Session, Exchange], ids=["at the door", "inside"])
@in_a_loop
async def test_without_the_database_nobody_comes_in_and_nothing_breaks(session, monkeypatch, model):
    with monkeypatch.context() as patch:
        patch.setattr(model._meta, "db_table", "gone")
        browser = Browser(application, session)
        connected, code = await browser.connect()
        assert (await browser.until_closed() if connected else code) == 4503
    async with browsing(application, session):
        pass


@in_a_loop
async def test_a_socket_is_renewed_before_the_day_is_over(session):
    async with browsing(quick(life_seconds=0.1), session) as browser:
        assert await browser.until_closed() == 4000


@in_a_loop
async def test_a_group_lasts_longer_than_a_socket():
    layer = get_channel_layer()
    assert Limits().life_seconds < getattr(layer, "group_expiry", 86_400)


@in_a_loop
async def test_who_floods_is_closed_out(session):
    async with browsing(quick(), session) as browser:
        for _ in range(FLOOD_MESSAGES + 1):
            await browser.say(type="close-pair")
        assert await browser.until_closed() == 4429


# -- Slow browsers


def change(redis, exchange, number):
    """Let the exchange's card change in a way that can't be missed."""
    held_by(redis, exchange, number, state="active", phase=f"phase {number}")
    redis.publish(*changed(exchange.pk, "status"))


def phase_is(number):
    return lambda card: card.get("stateText") == f"Active: phase {number}"


@in_a_loop
async def test_a_browser_that_is_silent_is_dropped(redis, session):
    app = serving(limits=Limits(**QUICK), outbox=lambda: Outbox(silence_seconds=0.05))
    browser = Browser(app, session)
    browser.answers = False
    assert (await browser.connect())[0]
    assert await browser.until_closed() == 4408
    await browser.leave()


@in_a_loop
async def test_a_slow_browser_gets_less_and_the_others_all(redis, exchange, session):
    app = serving(outbox=lambda: Outbox(window=3))
    async with browsing(app, session) as quick, browsing(app, session) as slow:
        slow.answers, seen = False, slow.count
        for number in range(1, 7):
            change(redis, exchange, number)
            await quick.until_card(exchange, phase_is(number))
        while slow.count < seen + 3:
            await slow.next()
        assert await slow.is_quiet()
        slow.answers = True
        await slow.say(type="seen", count=slow.count)
        await slow.until_card(exchange, phase_is(6))  # the chain held: see Browser
        assert slow.count < quick.count
        assert slow.cards[exchange.pk] == quick.cards[exchange.pk]


# -- What browsers say


@in_a_loop
async def test_a_refresh_brings_all_there_is(redis, exchange, session):
    async with browsing(application, session) as browser:
        change(redis, exchange, 1)
        await browser.until_card(exchange, phase_is(1))
        await browser.say(type="refresh")
        message = await browser.until(lambda message: message["type"] == "snapshot")
        assert message["feed"] == browser.messages[0]["feed"]
        card = next(card for card in message["cards"] if card["exchangeId"] == exchange.pk)
        assert card["version"] > browser.messages[0]["cards"][0]["version"]
        assert phase_is(1)(card)


@in_a_loop
async def test_many_refreshes_are_one_a_second(session):
    async with browsing(application, session) as browser:
        for _ in range(20):
            await browser.say(type="refresh")
        await browser.until(lambda message: message["type"] == "snapshot")
        assert await browser.is_quiet(0.3)


@in_a_loop
async def test_who_waits_for_a_snapshot_is_told_nothing_that_does_not_fit(redis, exchange, session):
    async with browsing(application, session) as browser:
        await browser.say(type="refresh")  # comes in a second: the first has just been sent
        change(redis, exchange, 1)
        message = await browser.next()
        assert message["type"] == "snapshot"
        assert phase_is(1)(browser.cards[exchange.pk])


MALFORMED = [
    "", "x", "null", "3", "[]", "{}", '{"type": null}', '{"type": []}', '{"type": "nonsense"}',
    '{"type": "network.message", "kind": "card"}', '{"type": "websocket.disconnect"}',
    '{"type": "seen"}', '{"type": "seen", "count": "1"}', '{"type": "seen", "count": 1.5}',
    '{"type": "seen", "count": true}', '{"type": "seen", "count": -1}',
    '{"type": "seen", "count": 1000000}', '{"type": "open-pair"}',
    '{"type": "open-pair", "exchangeId": "4", "symbol": "BTC-USD", "timeframe": "1m"}',
    '{"type": "open-pair", "exchangeId": 4, "symbol": ["BTC-USD"], "timeframe": "1m"}',
    '{"type": "open-pair", "exchangeId": 4, "symbol": "BTC-USD", "timeframe": "2m"}',
    '{"type": "open-pair", "exchangeId": 99999, "symbol": "BTC-USD", "timeframe": "1m"}',
    '{"type": "open-pair", "exchangeId": 4, "symbol": "NONE-USD", "timeframe": "1m"}',
    '{"type": "seen", "count": 1' + " " * 5000 + "}", "\x00", "{" * 3000,
]  # fmt: skip


@in_a_loop
async def test_what_it_does_not_understand_gets_a_line_and_harms_nobody(exchange, session):
    async with browsing(application, session) as browser:
        for text in filter(None, MALFORMED):
            await browser.say_text(text)
            message = await browser.until(lambda message: message["type"] == "error")
            assert 0 < len(message["text"]) < 400, text
            assert "\n" not in message["text"]
        await browser.say_bytes(b"\x00\x01")
        assert (await browser.next())["type"] == "error"
        await browser.say(type="refresh")
        await browser.until(lambda message: message["type"] == "snapshot")


@in_a_loop
async def test_nobody_can_reach_into_a_group_by_its_name(redis, exchange, session):
    async with browsing(application, session) as victim, browsing(application, session) as browser:
        group = current_feed().group(exchange.pk)
        for message in (
            {"type": "network.message", "group": group, "kind": "card", "text": "{}"},
            {"type": "join", "group": group},
            {"type": "seen", "count": 1, "group": "network.other"},
        ):
            await browser.say(**message)
        change(redis, exchange, 1)
        await victim.until_card(exchange, phase_is(1))
        assert {message["type"] for message in victim.messages} <= {"snapshot", "card"}


@in_a_loop
async def test_the_exchange_of_another_page_is_not_told_to_who_looks_at_none(exchange, session):
    await Exchange.objects.filter(pk=exchange.pk).aupdate(is_active=False)
    async with browsing(application, session) as browser:
        await browser.say(
            type="open-pair", exchangeId=exchange.pk, symbol="BTC-USD", timeframe="1m"
        )
        message = await browser.until(lambda message: message["type"] == "error")
        assert message["text"] == "open-pair: there is no such exchange"


# -- The end


@in_a_loop
async def test_the_last_one_who_leaves_ends_the_feed(redis, session):
    async with browsing(application, session):
        async with browsing(application, session):
            feed = current_feed()
        assert current_feed() is feed
        await wait_until(lambda: subscribers(redis))
    await wait_until(lambda: not subscribers(redis))
    assert current_feed() is not feed
    assert not [name for name in redis.pubsub_channels("*") if feed.id.encode() in name]


@in_a_loop
async def test_a_socket_that_is_torn_down_leaves_nothing_behind(redis, session):
    browser = Browser(application, session)
    await browser.connect()
    await browser.next()
    await wait_until(lambda: subscribers(redis))
    browser.cancel()
    await wait_until(lambda: not subscribers(redis))


@in_a_loop
async def test_nothing_of_it_stays_in_redis(redis, session):
    before = set(redis.keys("*"))
    async with browsing(application, session) as browser:
        await browser.say(type="refresh")
        await browser.until(lambda message: message["type"] == "snapshot")
        assert set(redis.keys("*")) == before


def test_every_message_it_takes_is_documented():
    takes = consumers.__doc__.partition("It takes")[2]
    assert set(re.findall(r'"type": "([a-z-]+)"', takes)) == set(NetworkConsumer()._handlers)
