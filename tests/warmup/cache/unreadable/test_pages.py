"""Every key in Redis x whatever somebody may write there: the pages and metrics answer."""

from itertools import product

import orjson
import pytest
from django.urls import reverse

from livermore.asgi import application
from livermore.market import keys
from tests.warmup.cache.unreadable.written import (
    MEMBERS,
    NOW,
    ODD,
    OTHER_TYPES,
    PAIR,
    ROW_OF_CANDLE,
    TEXTS,
    TOO_MUCH,
    TYPES,
    as_json,
    no_traceback,
    of_type,
    put,
    texts_for,
)
from tests.warmup.network.operators import agent, live, person
from tests.warmup.network.sockets import browsing, in_a_loop

TEXTS_PER_LOOK = 60  # all else is tried with each
TIMES_OF_AN_INDICATOR = ["timestamp", "firstTimestamp", "lastTimestamp"]


@pytest.mark.django_db
@pytest.mark.parametrize("what", TEXTS)
def test_whatever_is_written_into_a_value_the_pages_answer(
    redis, warm, looks, caplog, monkeypatch, what
):
    name_of, field, good = TEXTS[what]
    name = name_of(warm)
    live(redis, warm)
    agent(redis)
    for at, text in enumerate(texts_for(good)):
        put(redis, name, field, text)
        looks.summarize()
        if at % TEXTS_PER_LOOK == 0:
            looks.look()
            looks.act()
    put(redis, name, field, b'{"a":"' + TOO_MUCH * b"x" + b'"}')
    looks.look()
    redis.delete(name)
    no_traceback(caplog)


@pytest.mark.django_db
@pytest.mark.parametrize("what", TYPES)
def test_whatever_type_a_key_is_of_the_pages_answer(redis, looks, warm, caplog, what):
    name_of, right = TYPES[what]
    live(redis, warm)
    agent(redis)
    others = [kind for kind in OTHER_TYPES if kind != right]
    own = [*TYPES].index(what) % len(others)
    for at, kind in enumerate(others):
        of_type(redis, name_of(warm), kind)
        looks.look()
        if at == own:
            looks.act()
    redis.delete(name_of(warm))
    no_traceback(caplog)


@pytest.mark.django_db
def test_whatever_is_among_the_candles_the_pages_answer(redis, looks, warm, caplog):
    name = keys.candles(warm.pk, *PAIR)
    for members in MEMBERS:
        for at, member in enumerate(members):
            redis.zadd(name, {member: ROW_OF_CANDLE[0] + (at if len(members) > 2 else 0)})
        looks.look()
    no_traceback(caplog)


@pytest.mark.django_db
@in_a_loop
async def test_the_socket_tells_all_others(redis, row, session):
    for what, (name_of, right) in TYPES.items():
        of_type(redis, name_of(row), "hash" if right != "hash" else "string")
        async with browsing(application, session) as browser:
            assert browser.cards[row.pk]["name"] == row.name, what
            await browser.say(type="open-pair", exchangeId=row.pk, symbol="BTC-USD", timeframe="1h")
            await browser.until(lambda message: message["type"] == "pair")
        redis.delete(name_of(row))


@pytest.mark.django_db
def test_a_pairs_page_stands_any_indicator(redis, warm, client):
    client.force_login(person("ada", "view_exchange"))
    good = TEXTS["indicator"][2] | {"firstTimestamp": NOW, "lastTimestamp": NOW}
    odd = [*ODD, 10**17, -62_135_596_900_000, 253_402_300_800_000]
    bent = [good | {name: each} for name, each in product(TIMES_OF_AN_INDICATOR, odd)]
    for each in (*bent, {key: good[key] for key in good if key != "timestamp"}):
        redis.set(keys.indicator(warm.pk, *PAIR), as_json(each))
        answer = client.get(reverse("network:pair", args=[warm.pk, *PAIR]))
        assert answer.status_code == 200, each


@pytest.mark.django_db
def test_a_pairs_page_stands_a_row_at_any_time(redis, warm, client):
    client.force_login(person("ada", "view_exchange"))
    name = keys.candles(warm.pk, *PAIR)
    middle = redis.zrange(name, 50, 50, withscores=True)[0][1]
    for time_ms in (10**17, -(10**15), 1, 10**18 - 1):
        row = orjson.dumps([time_ms, 2, 4, 1, 3, 10])
        redis.zadd(name, {row: middle})
        answer = client.get(reverse("network:pair", args=[warm.pk, *PAIR]))
        assert answer.status_code == 200, time_ms
        redis.zrem(name, row)
