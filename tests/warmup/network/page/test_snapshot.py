import json
import os
import socket
import time
from dataclasses import replace
from datetime import timedelta

import orjson
import pytest
import redis as redis_client
from django.utils import timezone

from exchanges.lock.acquire import ExchangeLock
from exchanges.lock.status import State
from exchanges.models import Exchange, UserExchange
from exchanges.redis.change_notifications import changed, parse_change
from livermore.market import keys
from livermore.market.candle import Candle
from livermore.market.columns import read_columns
from livermore.market.indicators import macd_v_of_rows
from livermore.market.timeframe import Timeframe
from tests.warmup.network.operators import agent, held_by, listed_exchange, person
from warmup.cache.candles import CandleCache
from warmup.network.actions.audit import record
from warmup.network.page.cells import GRACE_MS
from warmup.network.page.snapshot import read_exchange, read_network, read_pair
from warmup.runner.moving.succession import Succession
from warmup.scanner import CandleStatusResult
from warmup.schedule import WarmupScheduleBuilder
from warmup.stats import WarmupStats, WarmupStatsPublisher

pytestmark = pytest.mark.django_db

M1 = Timeframe.M1
MINUTE = M1.ms
END = 1_795_046_400_000
NOW = END + GRACE_MS


def now_ms():
    return int(time.time() * 1000)


@pytest.fixture
def exchange(db):
    return listed_exchange()


# -- One exchange


def test_an_exchange_that_nobody_ever_ran(redis, exchange):
    view = read_exchange(redis, exchange, NOW)
    assert (view.holder, view.status.state, view.status_age_ms) == (None, "offline", None)
    assert (view.stats, view.schedule, view.usage.weight) == (None, None, None)


def test_the_holder_its_status_and_how_old_that_is_by_redis(redis, exchange):
    lease = ExchangeLock(redis, exchange.pk).acquire()
    lease.report(State.WARMING, "warming", 12.5)
    redis.pexpire(keys.status(exchange.pk), 15_000)
    view = read_exchange(redis, exchange, NOW)
    lease.release()
    assert (view.holder, view.status.percent) == (lease.holder, 12.5)
    assert 30_000 <= view.status_age_ms < 40_000
    assert view.late


def test_who_prepares_to_take_it_from_its_holder(redis, exchange):
    with ExchangeLock(redis, exchange.pk).acquire() as lease:
        Succession(redis, exchange.pk, "somebody else").claim()
        assert read_exchange(redis, exchange, NOW).successor is None
        redis.delete(keys.successor(exchange.pk))
        succession, other = (
            Succession(redis, exchange.pk, lease.holder.instance_id) for _ in range(2)
        )
        assert succession.claim() and not other.claim()
        assert read_exchange(redis, exchange, NOW).successor.pid == os.getpid()
        succession.end()
        assert read_exchange(redis, exchange, NOW).successor is None


def test_the_warmup_and_its_schedule_by_timeframe(redis, exchange):
    with WarmupStatsPublisher(redis, WarmupStats(exchange.pk)):
        pass
    pairs = [("A-USD", "1d"), ("A-USD", "1h"), ("B-USD", "1h")]
    results = [CandleStatusResult(s, Timeframe(t), 3, sufficient=False) for s, t in pairs]
    WarmupScheduleBuilder(redis, exchange.pk).build_and_persist(results)
    view = read_exchange(redis, exchange, NOW)
    assert view.stats["status"] == "scanning"
    assert view.schedule.counts == (("1d", 1), ("1h", 2))
    assert read_exchange(redis, exchange, NOW, view.schedule) == view


@pytest.mark.parametrize("text", ["", "oops", "[]", "null", '{"status": 3}', '{"state": "dead"}'])
@pytest.mark.parametrize(
    "name",
    [keys.lock, keys.status, keys.warmup_stats, keys.warmup_schedule],
    ids=lambda f: f.__name__,
)
def test_what_cannot_be_understood_counts_as_not_there(redis, exchange, name, text):
    redis.set(name(exchange.pk), text)
    view = read_exchange(redis, exchange, NOW)
    assert (view.holder, view.status.state, view.schedule) == (None, "offline", None)
    assert view.stats is None


def test_the_exchanges_time_is_what_its_frames_tell(redis, exchange):
    held_by(redis, exchange, state="active", exchangeTime=END)
    redis.pexpire(keys.status(exchange.pk), 45_000)
    assert read_exchange(redis, exchange, NOW).time_ms(NOW) == END
    redis.pexpire(keys.status(exchange.pk), 1_000)
    assert read_exchange(redis, exchange, NOW).time_ms(NOW) == NOW


# -- Change notifications: who writes what a page shows tells of it


def notifications(redis, exchange_id, write):
    with redis.pubsub(ignore_subscribe_messages=True) as listening:
        listening.subscribe(keys.exchange_changed(exchange_id))
        listening.get_message(timeout=5)
        write()
        redis.publish(*changed(exchange_id, "action"))
        found = []
        while not found or found[-1] != (exchange_id, "action"):
            if message := listening.get_message(timeout=5):
                found.append(parse_change(message["data"]))
    return {what for _, what in found[:-1]}


def test_a_warmup_tells_of_its_schedule_and_its_progress(redis):
    stats = WarmupStats(7)
    publisher = WarmupStatsPublisher(redis, stats)
    assert "status" in notifications(redis, 7, publisher.__enter__), "it begins"
    assert notifications(redis, 7, publisher.write) == {"stats"}
    stats.finish()
    assert "status" in notifications(redis, 7, lambda: publisher.__exit__(None, None, None)), (
        "it ends"
    )
    build = WarmupScheduleBuilder(redis, 7).build_and_persist
    assert notifications(redis, 7, lambda: build([])) == {"schedule"}


def test_a_holder_tells_of_what_it_says_and_of_its_end(redis):
    lease = ExchangeLock(redis, 7).acquire()
    assert notifications(redis, 7, lambda: lease.report(State.STARTING)) == {"status"}
    assert notifications(redis, 7, lease.release) == {"status"}


def test_the_lock_alone_tells_when_it_is_given_back(redis):
    lease = ExchangeLock(redis, 7).acquire()
    assert notifications(redis, 7, lease.release) == {"status"}


def test_a_late_holder_tells_nothing(redis):
    lease = ExchangeLock(redis, 7).acquire()
    redis.incr(keys.epoch(7))
    assert notifications(redis, 7, lambda: lease.report(State.ACTIVE)) == set()


@pytest.mark.parametrize("data", [b"", b"x", b"[]", b"3", b'{"exchangeId": "4", "what": "stats"}'])
def test_what_is_no_notification_is_none(data):
    assert parse_change(data) is None


# -- The network


def test_the_network_is_what_the_page_shows(redis, exchange):
    user = person("ada", "operate_exchange")
    agent(redis)
    record(exchange, user, "Stop", "maintenance")
    found = json.loads(orjson.dumps(read_network(redis, user)))
    assert (found["type"], found["mayOperate"], found["accounts"]) == ("snapshot", True, [])
    assert [each["agentId"] for each in found["agents"]] == ["agent-1"]
    card = next(card for card in found["cards"] if card["name"] == "sandbox")
    assert (card["exchangeId"], card["version"], card["state"]) == (exchange.pk, 0, "idle")
    assert card["lines"]["action"] == "ada: Stop (maintenance)"
    assert abs(card["times"]["action"] - now_ms()) < 60_000
    assert card["grid"]["symbols"] == ["BTC-USD", "ETH-USD"]
    assert card["grid"]["rows"] == ["kkkkkk", "kkkkkk"]


def test_who_may_only_look_may_not_act(redis):
    assert read_network(redis, person("eve", "view_exchange"))["mayOperate"] is False
    assert read_network(redis, None)["mayOperate"] is False


def test_an_exchange_that_is_not_active_has_no_card(redis, exchange):
    Exchange.objects.exclude(pk=exchange.pk).update(is_active=False)
    assert [card["name"] for card in read_network(redis, None)["cards"]] == ["sandbox"]


def test_everybody_sees_their_own_accounts_alone(redis, exchange, monkeypatch):
    ada, eve = person("ada"), person("eve")
    monkeypatch.setenv("BINANCE_KEY", "secret")
    monkeypatch.delenv("BINANCE_SECRET", raising=False)
    variables = {"api_key_env": "BINANCE_KEY", "api_secret_env": "BINANCE_SECRET"}
    UserExchange.objects.create(user=ada, exchange=exchange, display_name="main", **variables)
    [account] = read_network(redis, ada)["accounts"]
    assert account == {
        "id": account["id"],
        "displayName": "main",
        "exchangeId": exchange.pk,
        "exchange": "Sandbox",
        "isActive": True,
        "isDefault": False,
        "environment": {"BINANCE_KEY": True, "BINANCE_SECRET": False},
    }
    assert read_network(redis, eve)["accounts"] == []


def test_the_card_says_whose_key_is_chosen(redis, exchange):
    account = UserExchange.objects.create(
        user=person("bob"), exchange=exchange, display_name="Main"
    )

    def key():
        cards = read_network(redis, None)["cards"]
        return next(c for c in cards if c["exchangeId"] == exchange.pk)["lines"]["key"]

    assert key() == "none is chosen: public candles only"
    Exchange.objects.filter(pk=exchange.pk).update(account=account)
    assert key() == "Main of bob"


def test_without_redis_the_cards_say_so(exchange, tmp_path):
    with redis_client.Redis(unix_socket_path=str(tmp_path / "none"), retry=None) as nobody:
        found = read_network(nobody, None)
    assert {card["stateText"] for card in found["cards"]} == {"Stale: Redis does not answer"}
    assert found["agents"] is None


def test_a_redis_that_hangs_is_asked_once(exchange, monkeypatch):
    monkeypatch.setattr("warmup.network.page.snapshot.TIMEOUT_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(0)
        with redis_client.Redis(port=silent.getsockname()[1]) as nobody:
            found = read_network(nobody, None)
        silent.accept()[0].close()
        with pytest.raises(BlockingIOError):
            silent.accept()
    assert found["agents"] is None
    assert {card["state"] for card in found["cards"]} == {"stale"}
    assert len(found["cards"]) > 1


def test_a_key_of_the_wrong_type_takes_nothing_from_the_others(redis, exchange):
    redis.set(keys.agents(), "oops")
    found = read_network(redis, None)
    assert found["agents"] is None
    assert "stale" not in {card["state"] for card in found["cards"]}


# -- One pair


def candle(minute, close=1.5):
    return Candle(END + minute * MINUTE, 1.0, 2.0, 0.5, close, 3.0, M1)


def stretch(start, end):
    return END + start * MINUTE, END + end * MINUTE


def write_pair(redis, minutes=range(-200, 0), covered=((-200, 0),)):
    candles = [candle(minute, 1 + abs(minute % 7) / 10) for minute in minutes]
    stretches = tuple(stretch(*each) for each in covered)
    CandleCache(redis, 7).write("BTC-USD", M1, candles, stretches)
    return candles


def test_a_pair_as_its_page_shows_it(redis):
    candles = write_pair(redis)
    CandleCache(redis, 7).set_live("BTC-USD", candle(0))
    redis.set(keys.indicator(7, "BTC-USD", M1), '{"value": 1.5}')
    found = json.loads(orjson.dumps(read_pair(redis, 7, "BTC-USD", "1m", NOW).as_json()))
    assert found["candles"] == [each.values() for each in candles]
    assert found["coverage"] == [list(stretch(-200, 0))]
    assert (found["missing"], found["quiet"]) == ([], [])
    assert found["indicator"] == {"value": 1.5}
    macdv = found["macdv"]
    assert macdv["timestamps"] == [each.timestamp for each in candles]
    assert {len(column) for column in macdv.values()} == {200}
    assert macdv["value"][:26] == [None] * 26
    newest = macd_v_of_rows([each.values() for each in candles], M1)
    assert (macdv["value"][-1], macdv["signal"][-1]) == (newest.value, newest.signal)


def test_of_what_does_not_trade_nothing_is_missing_behind_its_end(redis):
    write_pair(redis, range(-200, -20), covered=[(-200, -60), (-50, -20)])
    assert len(read_pair(redis, 7, "BTC-USD", "1m", NOW).missing) == 2
    assert read_pair(redis, 7, "BTC-USD", "1m", NOW, True).missing == (stretch(-60, -50),)


def test_the_page_shows_what_does_not_trade_as_what_it_is(redis, exchange):
    exchange.symbols.filter(symbol="ETH-USD").update(status="halted")
    ago = timezone.now() - timedelta(days=300)
    old = {"status": "delisted", "status_since": timezone.now(), "created_at": ago}
    exchange.symbols.update(created_at=ago)
    exchange.symbols.filter(symbol="SOL-USD").update(is_monitored=True, **old)
    exchange.symbols.create(symbol="POL-USD", native_symbol="POLUSD", base="POL", quote="USD")
    (card,) = (each for each in read_network(redis, None)["cards"] if each["name"] == "sandbox")
    rows = dict(zip(card["grid"]["symbols"], card["grid"]["rows"], strict=True))
    assert rows == {"BTC-USD": "kkkkkk", "ETH-USD": "xxxxxx", "SOL-USD": "dddddd"}
    assert card["lines"]["symbols"].startswith("1 symbol, 1 halted, 1 delisted; SOL-USD is")
    assert "./run symbols sandbox --rename SOL-USD POL-USD" in card["lines"]["symbols"]


def test_holes_and_quiet_minutes_are_told_apart(redis):
    minutes = [m for m in range(-200, 0) if m not in (-50, -49, -20)]
    write_pair(redis, minutes, covered=[(-200, -50), (-48, 0)])
    view = read_pair(redis, 7, "BTC-USD", "1m", NOW)
    assert view.missing == (stretch(-50, -48),)
    assert view.quiet() == [END - 20 * MINUTE]


def test_a_pair_of_which_nothing_is_cached(redis):
    found = read_pair(redis, 7, "BTC-USD", "1d", NOW).as_json()
    assert (found["candles"], found["live"], found["indicator"]) == ([], None, None)
    assert len(found["missing"]) == 1
    assert found["macdv"] == {"timestamps": (), "value": (), "signal": (), "histogram": ()}


def test_a_change_of_a_pair_tells_what_is_new_or_was_repaired(redis):
    write_pair(redis, [m for m in range(-200, 0) if m != -50], covered=[(-200, -50), (-49, 0)])
    before = read_pair(redis, 7, "BTC-USD", "1m", NOW)
    CandleCache(redis, 7).write("BTC-USD", M1, [candle(-50), candle(0)], [stretch(-50, 1)])
    message = read_pair(redis, 7, "BTC-USD", "1m", NOW + MINUTE).since(before)
    assert [row[0] for row in message["candles"]] == [END - 50 * MINUTE, END]
    assert message["missing"] == ()
    times = [point[0] for point in message["macdv"]]
    assert times[0] == END - 50 * MINUTE
    assert times[-1] == END


def test_a_page_shows_six_numbers_of_a_row_and_that_it_has_more_is_no_news(redis):
    candles = write_pair(redis)
    before = read_pair(redis, 7, "BTC-USD", "1m", NOW)
    cache, columns = CandleCache(redis, 7), (20.5, 3, 4.0, 8.25)
    cache.write("BTC-USD", M1, [replace(each, columns=read_columns(columns)) for each in candles])
    redis.set(keys.live_candle(7, "BTC-USD", M1), orjson.dumps([*candle(0).values(), *columns]))
    view = read_pair(redis, 7, "BTC-USD", "1m", NOW)
    assert (view.rows, view.points) == (before.rows, before.points)
    message = view.since(before)
    assert (message["candles"], message["macdv"], message["live"]) == ([], [], candle(0).values())
    assert len(orjson.loads(redis.zrange(keys.candles(7, "BTC-USD", M1), 0, 0)[0])) == 10


def test_rows_that_somebody_else_wrote_have_no_indicator(redis):
    key = keys.candles(7, "BTC-USD", M1)
    for time_ms in (END, END + 1):
        redis.zadd(key, {orjson.dumps([time_ms, 1, 2, 0.5, 1.5, 3]): time_ms})
    found = read_pair(redis, 7, "BTC-USD", "1m", NOW).as_json()
    assert len(found["candles"]) == 2
    assert found["macdv"]["timestamps"] == ()


@pytest.mark.parametrize(
    "junk", ["oops", "[]", "[1, 2]", "null", '{"a": 1}', '["a", 1, 2, 3, 4, 5]']
)
def test_rows_that_cannot_be_read_are_left_out(redis, junk):
    candles = write_pair(redis)
    redis.zadd(keys.candles(7, "BTC-USD", M1), {junk: END - 1})
    redis.set(keys.live_candle(7, "BTC-USD", M1), junk)
    found = read_pair(redis, 7, "BTC-USD", "1m", NOW).as_json()
    assert found["candles"] == [each.values() for each in candles]
    assert found["live"] is None
    assert len(found["macdv"]["timestamps"]) == 200
