"""What a browser sees while things happen, from the writer in Redis to the socket."""

import asyncio
import time
from functools import partial
from io import StringIO
from types import SimpleNamespace

import orjson
import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import OperationalError
from django.test import Client
from django.urls import reverse

from exchanges.accounts import save_account
from exchanges.lock.acquire import ExchangeLock
from exchanges.lock.control_client import ControlClient
from exchanges.lock.status import State
from exchanges.models import Exchange, Symbol, UserExchange
from exchanges.redis.change_notifications import changed
from exchanges.redis.unreadable import OnceAnHour
from livermore.asgi import application
from livermore.market import keys
from livermore.market.candle import Candle
from livermore.market.timeframe import Timeframe
from tests.warmup.network.operators import (
    agent,
    held_by,
    listed_exchange,
    person,
    report_status,
)
from tests.warmup.network.sockets import (
    browsing,
    in_a_loop,
    kind,
    log_in,
    open_pair,
    state_is,
    subscribers,
    wait_until,
)
from tests.warmup.runners import make_row, running, serve
from warmup.cache.candles import CandleCache
from warmup.live import background_repair
from warmup.network.actions.audit import record
from warmup.network.page import snapshot
from warmup.network.page.exchange_view import read_exchange, read_rows
from warmup.network.page.snapshot import read_network
from warmup.network.socket import card_feed, feed
from warmup.network.socket.card_feed import CardFeed
from warmup.network.socket.throttle import RateLimit, Throttle
from warmup.runner.agents import deregister
from warmup.scanner import CandleStatusResult
from warmup.schedule import WarmupScheduleBuilder
from warmup.stats import WarmupStats, WarmupStatsPublisher

pytestmark = pytest.mark.django_db

M1 = Timeframe.M1
in_thread = sync_to_async(thread_sensitive=True)


@pytest.fixture(autouse=True)
def short_timeouts(monkeypatch):
    monkeypatch.setattr(feed, "POLL_SECONDS", 0.1)


@pytest.fixture
def exchange(db, redis):
    Exchange.objects.exclude(name="sandbox").update(is_active=False)
    return listed_exchange()


@pytest.fixture
def user(exchange):
    return person("ada", "operate_exchange")


@pytest.fixture
def session(user):
    return log_in(user)


# -- Cards


@in_a_loop
async def test_the_card_follows_the_holder_to_its_end(redis, exchange, session):
    async with browsing(application, session) as browser:
        lease = ExchangeLock(redis, exchange.pk).acquire()
        for state in (State.STARTING, State.WARMING, State.ACTIVE, State.STOPPING):
            lease.report(state)
            card = await browser.until_card(exchange, state_is(state))
            assert card["lockHeld"]
        lease.release()
        card = await browser.until_card(exchange, lambda card: not card["lockHeld"])
        assert card["state"] == "stopped"


@in_a_loop
async def test_two_browsers_see_the_same_in_the_same_order(redis, exchange, session):
    async with browsing(application, session) as one, browsing(application, session) as other:
        for frames in range(5):
            report_status(redis, exchange, framesPerSecond=frames)
        for browser in (one, other):
            await browser.until_card(exchange, lambda card: card["lines"]["rate"] == "4.0 frames/s")
        assert one.messages[0]["feed"] == other.messages[0]["feed"]
        assert one.messages[1:] == other.messages[1:]


@in_a_loop
async def test_a_thousand_changes_are_told_at_most_four_times_a_second(redis, exchange, session):
    async with browsing(application, session) as browser:
        told, ends = [], time.monotonic() + 1.2
        number = 0
        while time.monotonic() < ends:
            number += 1
            report_status(redis, exchange, framesPerSecond=float(number))
            await asyncio.sleep(0.001)
            while not await browser.is_quiet(0.0001):
                told.append((await browser.next())["serverTime"])
        last = f"{number:,.1f} frames/s"
        await browser.until_card(exchange, lambda card: card["lines"]["rate"] == last)
        assert number > 50
        assert len(told) <= 6
        # By the server's own times: no slow machine makes them closer.
        assert all(later - earlier >= 999 for earlier, later in zip(told, told[4:], strict=False))


@in_a_loop
async def test_progress_is_not_read_before_it_may_be_told_and_what_is_urgent_is(redis, exchange):
    reads = []

    async def in_thread_counted(function, *arguments):
        reads.append(function)
        return await asyncio.to_thread(function, *arguments)

    async def tell(message):
        pass

    [row] = await in_thread(read_rows)()
    card = CardFeed(redis, row, in_thread_counted, tell, count_viewers=lambda: 10_000)
    await card.refresh()
    reads.clear()
    for _ in range(50):
        card.trigger("stats")
        await asyncio.sleep(0.001)
    assert not reads
    card.trigger("status")
    await wait_until(lambda: read_exchange in reads)
    card.stop()


@in_a_loop
async def test_what_ends_without_a_word_is_seen_all_the_same(redis, exchange, session):
    report_status(redis, exchange)
    redis.pexpire(keys.status(exchange.pk), 45_000)
    async with browsing(application, session) as browser:
        assert browser.cards[exchange.pk]["state"] == "active"
        redis.pexpire(keys.status(exchange.pk), 20_000)
        assert (await browser.until_card(exchange, state_is("stale")))["lockHeld"]
        redis.delete(keys.lock(exchange.pk), keys.status(exchange.pk))
        await browser.until_card(exchange, state_is("offline"))


@in_a_loop
async def test_a_version_is_confirmed_so_that_a_lost_message_is_noticed(
    redis, exchange, session, monkeypatch
):
    monkeypatch.setattr(feed, "CONFIRM_SECONDS", 0.1)
    async with browsing(application, session) as browser:
        message = await browser.next()
        assert (message["type"], message["changes"]) == ("card", {})
        assert message["since"] == message["version"] == browser.cards[exchange.pk]["version"]


@in_a_loop
async def test_a_confirmation_does_not_overtake_what_it_confirms(redis, exchange):
    told, may_end = [], asyncio.Event()

    async def tell(message):
        told.append((message["since"], message["version"]))
        if len(told) == 1:
            await may_end.wait()

    [row] = await in_thread(read_rows)()
    card = CardFeed(redis, row, asyncio.to_thread, tell)
    telling = asyncio.ensure_future(card.refresh())
    await wait_until(lambda: told)
    await card.confirm()
    assert told == [(0, 1)]
    may_end.set()
    await telling
    await card.confirm()
    assert told == [(0, 1), (1, 1)]


@in_a_loop
async def test_a_change_that_the_layer_lost_is_asked_for(redis, exchange, session):
    async with browsing(application, session, may_miss=True) as browser:
        await wait_until(lambda: subscribers(redis))
        redis.client_kill_filter(_type="pubsub")
        held_by(redis, exchange, state="active")
        await browser.until_card(exchange, state_is("active"))


@in_a_loop
async def test_what_one_person_did_the_other_sees(redis, exchange, user, session):
    other = await in_thread(log_in)(await in_thread(person)("eve", "view_exchange"))
    async with browsing(application, session), browsing(application, other) as browser:
        await in_thread(record)(exchange, user, "Connect", "new keys")
        await Exchange.objects.filter(pk=exchange.pk).aupdate(wanted="running")
        redis.publish(*changed(exchange.pk, "action"))
        card = await browser.until_card(exchange, lambda card: card["lines"]["action"])
        assert card["lines"]["action"] == "ada: Connect (new keys)"
        assert card["lines"]["wanted"] == "waits for an agent"


@in_a_loop
async def test_exchanges_come_and_go(redis, exchange, session):
    other = await Exchange.objects.aget(name="coinbase")
    async with browsing(application, session) as browser:
        assert other.pk not in browser.cards
        await Exchange.objects.filter(pk=other.pk).aupdate(is_active=True)
        redis.publish(*changed(other.pk, "action"))
        card = await browser.until_card(other, lambda card: card.get("name") == "coinbase")
        assert card["grid"]["rows"] == []
        report_status(redis, other)
        await browser.until_card(other, state_is("active"))
        await Exchange.objects.filter(pk=other.pk).aupdate(is_active=False)
        redis.publish(*changed(other.pk, "action"))
        await browser.until(kind("gone"))
        assert list(browser.cards) == [exchange.pk]
        await Exchange.objects.filter(pk=other.pk).aupdate(is_active=True)
        redis.publish(*changed(other.pk, "action"))
        await browser.until_card(other, state_is("active"))


def symbols_are(text):
    return lambda card: card["lines"]["symbols"] == text


@sync_to_async
def save_in_admin(exchange, symbol):
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("root"))
    row = exchange.symbols.get(symbol=symbol)
    chosen = {"action": "monitor", "_selected_action": [row.pk]}
    assert client.post(reverse("admin:exchanges_symbol_changelist"), chosen).status_code == 302


@pytest.mark.django_db(transaction=True)
@in_a_loop
async def test_a_row_that_is_written_elsewhere_is_shown_at_once_and_what_comes_of_it(
    redis, exchange, session, monkeypatch
):
    monkeypatch.setattr(feed, "POLL_SECONDS", 60)
    async with browsing(application, session) as browser:
        await wait_until(lambda: subscribers(redis))
        addresses = {"rest_url": "http://127.0.0.1:1", "ws_url": "ws://127.0.0.1:1"}
        new = await Exchange.objects.acreate(name="another", venue="binance", **addresses)
        await browser.until_card(new, lambda card: card.get("name") == "another")
        report_status(redis, new)
        await browser.until_card(new, state_is("active"))
        command = in_thread(partial(call_command, stdout=StringIO()))
        await command("exchange", "another", "--display-name", "Mine")
        await browser.until_card(new, lambda card: card["displayName"] == "Mine")
        names = ("BTC-USD", "ETH-USD")
        await new.symbols.abulk_create(
            Symbol(exchange=new, symbol=name, native_symbol=name) for name in names
        )
        redis.delete(keys.lock(new.pk))  # else its holder would be asked to stream that
        await command("symbols", "another", "--monitor", "BTC-USD")
        await browser.until_card(new, symbols_are("1 symbol"))
        await save_in_admin(new, "ETH-USD")
        await browser.until_card(new, symbols_are("2 symbols"))
        await new.adelete()
        await browser.until(kind("gone"))


@in_a_loop
async def test_agents_are_told_when_they_come_and_go(redis, exchange, session):
    async with browsing(application, session) as browser:
        agent(redis, "agent-1")
        message = await browser.until(kind("agents"))
        assert [each["agentId"] for each in message["agents"]] == ["agent-1"]
        await browser.until_card(exchange, state_is("idle"))
        deregister(redis, "agent-1")
        assert (await browser.until(kind("agents")))["agents"] == []


@in_a_loop
async def test_a_new_default_is_told_to_its_user_alone(redis, exchange, user, session):
    other = await in_thread(log_in)(await in_thread(person)("eve", "view_exchange"))
    async with browsing(application, session) as browser, browsing(application, other) as another:
        for name in ("first", "second"):
            account = UserExchange(user=user, exchange=exchange, display_name=name)
            account.is_default = True
            await in_thread(save_account)(account)
        redis.publish(*changed(exchange.pk, "accounts"))
        message = await browser.until(kind("accounts"))
        defaults = {each["displayName"]: each["isDefault"] for each in message["accounts"]}
        assert defaults == {"first": False, "second": True}
        report_status(redis, exchange)
        await another.until_card(exchange, state_is("active"))
        told = [message["accounts"] for message in another.messages if "accounts" in message]
        assert not any(told)


@in_a_loop
async def test_nonsense_on_the_channel_is_passed_over(redis, exchange, session):
    async with browsing(application, session) as browser:
        channel = keys.exchange_changed(exchange.pk)
        for data in (b"", b"x", b"[]", b'{"exchangeId": [], "what": {}}', b"\xff\xfe"):
            redis.publish(channel, data)
        redis.publish(*changed(999_999, "status"))
        report_status(redis, exchange)
        await browser.until_card(exchange, state_is("active"))


# -- The grid


def minutes(count, ends_ms):
    times = range(ends_ms - count * M1.ms, ends_ms, M1.ms)
    return [Candle(time_ms, 1.0, 2.0, 0.5, 1.5, 3.0, M1) for time_ms in times]


@in_a_loop
async def test_a_repaired_pair_changes_its_cell_alone(redis, exchange, session):
    async with browsing(application, session) as browser:
        assert browser.cards[exchange.pk]["grid"]["rows"] == ["kkkkkk", "kkkkkk"]
        end_ms = M1.floor(int(time.time() * 1000))
        stretch = ((end_ms - 110 * M1.ms, end_ms),)
        CandleCache(redis, exchange.pk).write("ETH-USD", M1, minutes(110, end_ms), stretch)
        report_status(redis, exchange, closes=1)
        message = await browser.until(lambda message: "cells" in message.get("changes", ()))
        assert message["changes"]["cells"] == [[1, 0, "c"]]
        card = browser.cards[exchange.pk]
        assert card["grid"]["rows"] == ["kkkkkk", "ckkkkk"]
        assert card["lines"]["holes"] == "11 cold of 12 pairs"


@in_a_loop
async def test_symbols_that_are_added_get_their_row(redis, exchange, session):
    async with browsing(application, session) as browser:
        await exchange.symbols.filter(symbol="SOL-USD").aupdate(is_monitored=True)
        redis.publish(*changed(exchange.pk, "action"))
        card = await browser.until_card(exchange, lambda card: len(card["grid"]["rows"]) == 3)
        assert card["grid"]["symbols"] == ["BTC-USD", "ETH-USD", "SOL-USD"]
        assert card["lines"]["symbols"] == "3 symbols"


# -- A warmup, whoever started it


@in_a_loop
async def test_a_warmup_by_the_command_is_followed_from_its_start_to_its_end(
    redis, exchange, session, sandbox
):
    sandbox.scenarios.add("slow", delay=0.3)  # else it may be over before it is told
    exchange.rest_url = sandbox.url
    await exchange.asave()
    async with browsing(application, session) as browser:
        assert browser.cards[exchange.pk]["warmup"] is None
        await in_thread(call_command)("warmup", "sandbox", stdout=StringIO(), stderr=StringIO())
        card = await browser.until_card(
            exchange, lambda card: card["warmup"] and card["warmup"]["status"] == "complete"
        )
        assert card["warmup"]["counts"] == "12 done, 0 skipped, 0 failed of 12"
        assert dict(card["warmup"]["schedule"]) == dict.fromkeys(Timeframe, 2)
        await browser.until_card(exchange, lambda card: "k" not in "".join(card["grid"]["rows"]))
        told = [message.get("changes", {}).get("state") for message in browser.messages]
        assert "warming" in told


@in_a_loop
async def test_the_schedule_of_the_next_warmup_takes_the_place_of_the_last(
    redis, exchange, session
):
    def schedule(*timeframes):
        results = [CandleStatusResult("BTC-USD", each, 0, sufficient=False) for each in timeframes]
        WarmupScheduleBuilder(redis, exchange.pk).build_and_persist(results)

    async with browsing(application, session) as browser:
        with WarmupStatsPublisher(redis, WarmupStats(exchange.pk)):
            for timeframes in ([M1], [Timeframe.H4, M1]):
                schedule(*timeframes)
                expected = [[each, 1] for each in timeframes]
                await browser.until_card(exchange, has_schedule(expected))


def has_schedule(expected):
    return lambda card: card["warmup"] and card["warmup"]["schedule"] == expected


@in_a_loop
async def test_progress_ends_with_the_warmup_and_the_result_stays(redis, exchange, session):
    stats = WarmupStats(exchange.pk)
    async with browsing(application, session) as browser:
        with WarmupStatsPublisher(redis, stats):
            await browser.until_card(exchange, lambda card: card["warmup"])
            assert browser.cards[exchange.pk]["warmup"]["alive"]
            stats.finish(error="the exchange is gone")
        done = await browser.until_card(exchange, lambda card: card["warmup"]["error"])
        report_status(redis, exchange)
        card = await browser.until_card(exchange, state_is("active"))
        assert card["warmup"] == done["warmup"]
        assert (card["warmup"]["status"], card["warmup"]["alive"]) == ("error", False)


# -- All of it


@pytest.mark.django_db(transaction=True)
def test_a_live_exchange_is_shown_as_it_is_and_its_holes_while_they_are_repaired(
    redis, monkeypatch
):
    monkeypatch.setattr(card_feed, "GRID_KEPT_MS", 100)
    monkeypatch.setattr(background_repair, "STEP_SECONDS", 60)  # it repairs before it is seen
    with serve(speed=1) as sandbox:
        row = make_row(sandbox)
        with running(redis, row):
            session = log_in(person("ada", "operate_exchange"))
            in_a_loop(_look_at_live_exchange)(redis, row, session)


async def _look_at_live_exchange(redis, row, session):
    def of_day(letter):
        return lambda card: card["grid"]["rows"][0][-1] == letter

    async with browsing(application, session) as browser:
        card = await browser.until_card(
            row, lambda card: card["stateText"] == "Active: streaming" and card["sparkline"]
        )
        assert card["lines"]["symbols"] == "3 symbols, 19 streams on 1 connection"
        assert card["lines"]["rate"].endswith("frames/s")
        assert card["warmup"]["line"] == "Warmup complete"
        await browser.until_card(row, lambda card: card["grid"]["rows"] == ["cccccc"] * 3)
        redis.delete(keys.coverage(row.pk, "BTC-USD", "1d"))
        await browser.until_card(row, of_day("h"))
        # In batches of five with a second between, the days last: long enough to be seen.
        ControlClient(redis, row.pk).send("force-backfill")
        await browser.until_card(row, of_day("r"))
        await browser.until_card(row, of_day("c"))


# -- A pair


@in_a_loop
async def test_a_pair_that_is_opened_is_told_whole_and_then_by_what_changes(
    redis, exchange, session
):
    end_ms = M1.floor(int(time.time() * 1000))
    cache = CandleCache(redis, exchange.pk)
    cache.write("BTC-USD", M1, minutes(100, end_ms), ((end_ms - 100 * M1.ms, end_ms),))
    async with browsing(application, session) as browser:
        first = await open_pair(browser, exchange)
        assert len(first["candles"]) == len(first["macdv"]) == 100
        assert first["live"] is None
        new = Candle(end_ms, 1.0, 2.0, 0.5, 1.75, 4.0, M1)
        cache.set_live("BTC-USD", new)
        redis.publish(keys.candle_channel(exchange.pk, "BTC-USD", M1), b"{}")
        message = await browser.until(kind("pair"))
        assert (message["candles"], message["live"]) == ([], new.values())
        cache.write("BTC-USD", M1, [new], ((end_ms, end_ms + M1.ms),))
        redis.publish(keys.candle_channel(exchange.pk, "BTC-USD", M1), b"{}")
        message = await browser.until(kind("pair"))
        assert message["candles"] == [new.values()]
        assert [point[0] for point in message["macdv"]] == [end_ms]


@in_a_loop
async def test_a_pair_is_told_to_those_who_have_it_open(redis, exchange, session):
    async with browsing(application, session) as browser, browsing(application, session) as other:
        await open_pair(browser, exchange)
        await open_pair(other, exchange, "ETH-USD")
        await open_pair(other, exchange, "ETH-USD", "1h")  # closes the one before
        channels = {name.decode() for name in redis.pubsub_channels("channel:[ci]*")}
        pairs = [("BTC-USD", "1m"), ("ETH-USD", "1h")]
        names = (keys.candle_channel, keys.indicator_channel)
        assert channels == {name(exchange.pk, *pair) for name in names for pair in pairs}
        redis.set(keys.indicator(exchange.pk, "BTC-USD", "1m"), orjson.dumps({"value": 1}))
        redis.publish(keys.indicator_channel(exchange.pk, "BTC-USD", "1m"), b"{}")
        assert (await browser.until(kind("pair")))["indicator"] == {"value": 1}
        await browser.say(type="close-pair")
        await wait_until(lambda: len(redis.pubsub_channels("channel:[ci]*")) == 2)
        told = [message["symbol"] for message in other.messages if message["type"] == "pair"]
        assert told == ["ETH-USD", "ETH-USD"]


# -- Its pace


@in_a_loop
async def test_work_is_done_at_once_then_seldom_and_never_forgotten():
    done = []

    async def work():
        done.append(time.monotonic())

    throttle = Throttle(0.05, work)
    throttle.trigger()
    await wait_until(lambda: len(done) == 1)
    for _ in range(100):
        throttle.trigger()
    await wait_until(lambda: len(done) == 2)
    assert done[1] - done[0] >= 0.049
    throttle.stop()


def test_what_is_usual_is_sent_at_even_intervals():
    limit = RateLimit(4)
    assert limit.wait_seconds(100, 0.3, urgent=False) == 0
    limit.note(100)
    assert limit.wait_seconds(100.1, 0.3, urgent=False) == pytest.approx(0.2)
    assert limit.wait_seconds(100.1, 0.6, urgent=False) == pytest.approx(0.5)
    assert limit.wait_seconds(100.3, 0.3, urgent=False) == pytest.approx(0)


def test_what_is_urgent_is_told_at_once_but_never_a_fifth_time_in_a_second():
    limit = RateLimit(4)
    for now in (100, 100.3, 100.6, 100.7):
        assert limit.wait_seconds(now, 0.3, urgent=True) == 0
        limit.note(now)
    assert limit.wait_seconds(100.8, 0.3, urgent=True) == pytest.approx(0.2)
    assert limit.wait_seconds(100.8, 0.1, urgent=False) == pytest.approx(0.2)
    assert limit.wait_seconds(101, 0.3, urgent=True) == 0


@in_a_loop
async def test_work_that_failed_is_done_again_when_it_is_asked_for():
    done = []

    async def work():
        done.append(1)
        raise ValueError("for once")

    throttle = Throttle(0.001, work)
    throttle.trigger()
    await wait_until(lambda: len(done) == 1)
    throttle.trigger()
    await wait_until(lambda: len(done) == 2)


# -- The database


@in_a_loop
async def test_a_database_that_is_away_is_told_and_that_it_is_back(
    redis, exchange, session, monkeypatch
):
    def fail():
        raise OperationalError("database is locked")

    async with browsing(application, session) as browser:
        assert browser.messages[0]["databaseAway"] is False
        with monkeypatch.context() as patch:
            patch.setattr(feed, "read_rows", fail)
            patch.setattr(feed, "Exchange", SimpleNamespace(objects=SimpleNamespace(exists=fail)))
            assert (await browser.until(kind("database")))["away"]
            report_status(redis, exchange)  # what is in Redis goes on
            await browser.until_card(exchange, state_is("active"))
            await browser.say(type="refresh")
            assert (await browser.until(kind("snapshot")))["databaseAway"]
        assert not (await browser.until(kind("database")))["away"]


@in_a_loop
async def test_a_fault_of_ours_costs_one_card_alone_until_it_is_over(
    redis, exchange, session, monkeypatch, caplog
):
    right, is_over = card_feed.read_exchange, []

    def faulty(redis, row, *arguments):
        if row.pk == exchange.pk and not is_over:
            raise OverflowError("cannot convert float infinity to integer")
        return right(redis, row, *arguments)

    monkeypatch.setattr(card_feed, "_news", OnceAnHour())
    monkeypatch.setattr(card_feed, "read_exchange", faulty)
    monkeypatch.setattr(snapshot, "read_exchange", faulty)
    texts = {c["name"]: c["stateText"] for c in await read_page(redis)}
    fault = "Can't be shown: a fault of Livermore's own"
    assert [name for name, text in texts.items() if text == fault] == ["sandbox"]
    async with browsing(application, session) as browser:
        found = {card["name"]: card["stateText"] for card in browser.cards.values()}
        assert found == texts
        is_over.append(True)
        await browser.until_card(exchange, lambda card: card["stateText"] != fault)
    [said] = [r for r in caplog.records if "card.failed" in r.getMessage()]
    assert said.exc_info and "exchange=sandbox" in said.getMessage()


@sync_to_async
def read_page(redis):
    return read_network(redis, None)["cards"]
