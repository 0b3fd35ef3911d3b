"""Readers of Redis find exchanges by name, whatever changes in the database."""

import json

import pytest

from exchanges.models import Exchange, Symbol
from exchanges.redis.directory import publish_exchanges
from exchanges.redis.installation import Announcer
from exchanges.venues import VENUES
from livermore.market import keys


def told(redis):
    return {
        name.decode(): json.loads(text) for name, text in redis.hgetall(keys.exchanges()).items()
    }


def monitor(exchange, *symbols):
    for each in symbols:
        base, quote = each.split("-")
        Symbol.objects.create(
            exchange=exchange,
            symbol=each,
            native_symbol=base + quote,
            base=base,
            quote=quote,
            is_monitored=True,
        )


@pytest.mark.django_db
def test_an_exchange_is_told_by_name_with_its_number_and_symbols(redis):
    sandbox = Exchange.objects.get(name="sandbox")
    monitor(sandbox, "ETH-USD", "BTC-USD")
    publish_exchanges(redis)
    assert told(redis)["sandbox"] == {
        "id": sandbox.pk,
        "displayName": "Sandbox",
        "venue": "binance",
        "lagMs": VENUES["binance"].lag_ms,
        "symbols": ["BTC-USD", "ETH-USD"],
        "kinds": ["spot"],
        "depthRows": None,
    }
    assert set(told(redis)) == set(Exchange.objects.values_list("name", flat=True))
    assert told(redis)["kraken"]["depthRows"] == VENUES["kraken"].depth_rows == 720


@pytest.mark.django_db
def test_a_symbol_that_is_not_monitored_or_gone_is_not_told(redis):
    sandbox = Exchange.objects.get(name="sandbox")
    monitor(sandbox, "ETH-USD", "BTC-USD", "OLD-USD")
    Symbol.objects.filter(symbol="ETH-USD").update(is_monitored=False)
    Symbol.objects.filter(symbol="OLD-USD").update(status=Symbol.Status.DELISTED)
    publish_exchanges(redis)
    assert told(redis)["sandbox"]["symbols"] == ["BTC-USD"]


@pytest.mark.django_db
def test_what_is_wrong_is_made_right_by_the_next_round_of_an_agent(redis):
    redis.hset(keys.exchanges(), mapping={"gone": "{}", "sandbox": "nonsense"})
    Announcer(redis).step()
    assert "gone" not in told(redis)
    assert told(redis)["sandbox"]["venue"] == "binance"


@pytest.mark.django_db
def test_what_is_right_is_not_written_again(redis):
    publish_exchanges(redis)
    writes = redis.info("commandstats").get("cmdstat_hset", {}).get("calls", 0)
    publish_exchanges(redis)
    assert redis.info("commandstats")["cmdstat_hset"]["calls"] == writes


@pytest.mark.django_db
def test_what_is_no_hash_hinders_nobody(redis, caplog):
    redis.set(keys.exchanges(), "somebody else's")
    Announcer(redis).step()
    assert "exchanges.not_published" in caplog.text
    assert redis.hlen(keys.installation()) == 1


@pytest.mark.django_db
def test_a_row_that_is_changed_is_told_once_it_is_committed(
    redis, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True) as callbacks:
        sandbox = Exchange.objects.get(name="sandbox")
        sandbox.display_name = "Playground"
        sandbox.save()
        monitor(sandbox, "BTC-USD", "ETH-USD")
        assert told(redis) == {}
    assert told(redis)["sandbox"]["displayName"] == "Playground"
    assert told(redis)["sandbox"]["symbols"] == ["BTC-USD", "ETH-USD"]
    names = [getattr(each, "__name__", "") for each in callbacks]
    assert names.count("_publish_exchanges") == 1


@pytest.mark.django_db
def test_a_row_that_is_deleted_is_told_no_more(redis, django_capture_on_commit_callbacks):
    publish_exchanges(redis)
    with django_capture_on_commit_callbacks(execute=True):
        Exchange.objects.get(name="coinbase").delete()
    assert "coinbase" not in told(redis)
