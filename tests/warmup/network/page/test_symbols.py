"""The symbols of an exchange to choose from: what is listed, in which order, what can be undone."""

import time

import orjson
import pytest
from django.contrib.admin.models import LogEntry
from django.core.exceptions import ValidationError
from django.urls import reverse

from exchanges.models import Symbol
from exchanges.symbols.monitoring import monitor
from livermore.market import keys
from tests.warmup.network.operators import commands, listed_exchange, live, person
from tests.warmup.runners import make_row, serve
from warmup.network.actions import volumes as asking
from warmup.network.actions.base import Refused
from warmup.network.actions.exchange import Actions
from warmup.network.page.symbols import read_listing, volume_text

pytestmark = pytest.mark.django_db

JSON = "application/json"


@pytest.fixture
def row(redis):
    found = listed_exchange(monitored=("BTC-USD",))
    store(redis, found, {"BTC-USD": 900.0, "ETH-USD": 2e6, "SOL-USD": 5e4})
    return found


def store(redis, row, volumes, age_ms=0):
    at = int(time.time() * 1000) - age_ms
    redis.set(keys.volumes(row.pk), orjson.dumps({"at": at, "volumes": volumes}))


@pytest.fixture
def actions(redis, row):
    return Actions(redis, row, person("ada"))


@pytest.fixture
def browser(client, row):
    client.force_login(person("bob", "operate_exchange", "view_exchange"))
    return client


def names(listing):
    return [symbol.symbol for symbol, _ in listing["rows"]]


def monitored(row):
    return sorted(row.symbols.monitored().values_list("symbol", flat=True))


# -- What is listed


def test_the_most_traded_come_first_and_those_without_a_volume_last(redis, row):
    listing = read_listing(redis, row, {})
    assert names(listing) == ["ETH-USD", "SOL-USD", "BTC-USD", "XRP-USD"]
    assert [text for _, text in listing["rows"]] == ["2.00 M", "50.0 k", "900", "–"]
    assert (listing["total"], listing["trading"], listing["monitored"]) == (4, 4, 1)


def test_what_begins_with_the_words_typed_comes_first(redis, row):
    row.symbols.filter(symbol="XRP-USD").update(symbol="USD-EUR", quote="EUR")
    assert names(read_listing(redis, row, {"q": " usd"}))[0] == "USD-EUR"


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"show": "monitored"}, ["BTC-USD"]),
        ({"show": "others"}, ["ETH-USD", "SOL-USD", "XRP-USD"]),
        ({"quote": "eur"}, []),
        ({"q": "x"}, ["XRP-USD"]),
        ({"show": "nonsense", "page": "x"}, ["ETH-USD", "SOL-USD", "BTC-USD", "XRP-USD"]),
    ],
)
def test_only_what_was_asked_for_is_listed(redis, row, asked, found):
    assert names(read_listing(redis, row, asked)) == found


def test_what_is_delisted_is_listed_while_it_is_monitored(redis, row):
    row.symbols.filter(symbol__in=["BTC-USD", "SOL-USD"]).update(status="delisted")
    found = dict.fromkeys(names(read_listing(redis, row, {})))
    assert ("BTC-USD" in found, "SOL-USD" in found) == (True, False)


def test_fifteen_hundred_come_a_hundred_at_a_time(redis, row):
    Symbol.objects.bulk_create(
        Symbol(exchange=row, symbol=f"S{n:04}-USD", native_symbol=f"S{n}", base="S", quote="USD")
        for n in range(1500)
    )
    first = read_listing(redis, row, {})
    assert (first["first"], first["last"], first["matches"], first["next"]) == (1, 100, 1504, 2)
    last = read_listing(redis, row, {"page": "99"})
    assert (last["first"], last["last"], last["next"]) == (1501, 1504, 0)


@pytest.mark.parametrize(
    ("volume", "text"),
    [
        (None, "–"),
        (0.0, "0"),
        (0.5, "0.50"),
        (999.4, "999"),
        (999.9, "1.00 k"),
        (1.234e12, "1.23 T"),
    ],
)
def test_a_volume_has_three_digits(volume, text):
    assert volume_text(volume) == text


# -- An exchange that does not answer


def test_the_form_works_without_volumes_and_says_why(redis, row, browser, monkeypatch):
    monkeypatch.setattr(asking, "_askings", {})
    redis.delete(keys.volumes(row.pk))
    type(row).objects.filter(pk=row.pk).update(rest_url="http://127.0.0.1:9")
    text = browser.get(reverse("network:choose-symbols", args=[row.pk])).content.decode()
    assert "24 h volumes are not known: " in text
    assert "BTC-USD" in text
    address, data = reverse("network:add-most-traded", args=[row.pk]), {"count": "2", "of": "USD"}
    answer = browser.post(address, data, headers={"Accept": JSON})
    assert answer.status_code == 400
    assert "The 24 h volumes of sandbox are not known: " in answer.json()["text"]


def test_old_volumes_are_shown_with_their_age_and_why_nothing_newer_is(redis, row, monkeypatch):
    monkeypatch.setattr(asking, "_askings", {})
    store(redis, row, {"SOL-USD": 5.0}, age_ms=1_200_000)
    row.rest_url = "http://127.0.0.1:9"
    listing = read_listing(redis, row, {}, seconds=8)
    assert names(listing)[0] == "SOL-USD"
    assert listing["volumes_trouble"]


@pytest.mark.django_db(transaction=True)
def test_an_exchange_is_asked_by_one_at_a_time_and_only_where_somebody_waits(redis, monkeypatch):
    monkeypatch.setattr(asking, "_askings", {})
    with serve() as sandbox:
        row = make_row(sandbox)
        sandbox.requests.reset()
        assert read_listing(redis, row, {})["volumes_wanted"]
        assert sandbox.requests.counts["binance.ticker24hr"] == 0
        fault = sandbox.faults.add("status", status=503, endpoint="ticker24hr")
        assert asking.volumes_within(redis, row, 0.01)[1] == asking.NOT_YET
        assert asking.volumes_within(redis, row, 0.01)[1] == asking.NOT_YET
        sandbox.faults.clear()
        volumes, trouble = asking.volumes_within(redis, row, 30)
        assert (trouble, volumes.by_symbol["BTC-USD"] > 0) == ("", True)
        assert sandbox.requests.counts["binance.ticker24hr"] == fault.hits + 1


# -- Choosing


def test_the_most_traded_are_added_and_none_is_taken_away(redis, row, actions):
    text = actions.add_most_traded("2", "usd")
    assert (
        text
        == "Of the 2 most traded in USD (1 have no known volume), 2 newly monitored on sandbox."
    )
    assert monitored(row) == ["BTC-USD", "ETH-USD", "SOL-USD"]
    assert "ETH-USD, SOL-USD" in LogEntry.objects.get().get_change_message()


def test_its_runner_is_told_of_the_most_traded_and_of_what_is_undone(redis, row, actions):
    live(redis, row)
    actions.add_most_traded("1", "USD")
    actions.undo_symbols(actions.undo)
    assert commands(redis, row) == [
        ("bulk-add-symbols", {"symbols": ["ETH-USD"]}),
        ("remove-symbol", {"symbols": ["ETH-USD"]}),
    ]


@pytest.mark.parametrize("number", ["0", "-1", "1001", "x", "", "²", "9" * 400])
def test_how_many_is_a_number_that_makes_sense(row, actions, number):
    with pytest.raises(ValidationError):
        actions.add_most_traded(number, "USD")
    assert (monitored(row), actions.undo) == (["BTC-USD"], "")


def test_undo_restores_exactly_what_was_monitored_but_for_what_others_did(row, actions):
    actions.add_symbols("BTC-USD ETH-USD SOL-USD")
    monitor(row, ["XRP-USD"])
    text = actions.undo_symbols(actions.undo)
    assert text == "Undone: 2 no longer monitored on sandbox."
    assert monitored(row) == ["BTC-USD", "XRP-USD"]
    actions.remove_symbols("BTC-USD XRP-USD")
    assert "2 monitored again" in actions.undo_symbols(actions.undo)
    assert monitored(row) == ["BTC-USD", "XRP-USD"]


def test_where_nothing_changed_there_is_nothing_to_undo(actions):
    actions.add_symbols("BTC-USD")
    assert actions.undo == ""


@pytest.mark.parametrize("token", ["", "nonsense", "a:b:c"])
def test_only_our_own_word_is_undone(row, actions, token):
    with pytest.raises(Refused, match="Nothing was undone"):
        actions.undo_symbols(token)


def test_a_change_of_another_exchange_is_not_undone_here(redis, row, actions):
    actions.add_symbols("SOL-USD")
    other = Actions(redis, type(row).objects.get(name="binance"), person("eve"))
    with pytest.raises(Refused, match="another exchange"):
        other.undo_symbols(actions.undo)


# -- As a form


def test_without_scripts_chosen_and_typed_names_are_added_and_undone(row, browser):
    address = reverse("network:add-symbols", args=[row.pk])
    page = browser.post(address, {"symbols": ["ETH-USD", "SOL-USD", "xrp-usd"]})
    assert monitored(row) == ["BTC-USD", "ETH-USD", "SOL-USD", "XRP-USD"]
    assert "3 of 3 newly monitored on sandbox" in page.content.decode()
    undo = page.context["undo"]
    page = browser.post(reverse("network:undo-symbols", args=[row.pk]), {"change": undo})
    assert "Undone: 3 no longer monitored on sandbox." in page.content.decode()
    assert monitored(row) == ["BTC-USD"]


def test_a_script_gets_the_form_again_with_what_can_be_undone(row, browser):
    address = reverse("network:add-most-traded", args=[row.pk])
    data = {"count": "1", "of": "USD", "show": "monitored"}
    answer = browser.post(address, data, headers={"Accept": JSON}).json()
    assert answer["ok"]
    assert "data-said" in answer["html"]
    assert "Undo" in answer["html"]


def test_an_exchange_that_was_never_synced_says_so_and_can_be(db, redis, client):
    with serve() as sandbox:
        row = make_row(sandbox)
        row.symbols.all().delete()
        client.force_login(person("bob", "operate_exchange"))
        text = client.get(reverse("network:choose-symbols", args=[row.pk])).content.decode()
        assert "Never synced" in text
        answer = client.post(reverse("network:sync-symbols", args=[row.pk]), {"choose": "1"})
    assert "sandbox: 3 added, 0 changed" in answer.content.decode()
    assert "BTC-USD" in answer.content.decode()


def test_who_may_only_look_may_not_choose(row, client):
    client.force_login(person("viewer", "view_exchange"))
    assert client.get(reverse("network:choose-symbols", args=[row.pk])).status_code == 403
    for name in ("add-most-traded", "undo-symbols", "sync-symbols"):
        assert client.post(reverse(f"network:{name}", args=[row.pk])).status_code == 403
    assert monitored(row) == ["BTC-USD"]


def test_names_in_the_listing_are_written_as_text(row, browser):
    row.symbols.filter(symbol="XRP-USD").update(symbol="<b>-USD")
    text = browser.get(reverse("network:choose-symbols", args=[row.pk])).content.decode()
    assert "<b>-USD" not in text
    assert "&lt;b&gt;-USD" in text
