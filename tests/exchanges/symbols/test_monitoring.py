import orjson
import pytest
from django.utils import timezone

from exchanges.errors import UnknownSymbol
from exchanges.models import Exchange
from exchanges.symbols.listed import ListedSymbol
from exchanges.symbols.listing import sync_symbols
from exchanges.symbols.monitoring import Change, monitor, switch, take_back, unmonitor

pytestmark = pytest.mark.django_db

NAMES = ["BTC-USD", "ETH-USD", "SOL-USD", "XRP-USD"]


def listed(*names, is_trading=True):
    return [ListedSymbol(n, n.replace("-", ""), *n.split("-"), is_trading) for n in names]


@pytest.fixture
def row():
    row = Exchange.objects.get(name="sandbox")
    sync_symbols(row, listed(*NAMES))
    row.symbols.exclude(symbol="BTC-USD").update(is_monitored=False)
    return row


def monitored(row):
    return sorted(row.symbols.monitored().values_list("symbol", flat=True))


def test_a_change_names_what_it_switched_and_nothing_else(row):
    change = switch(row, ["BTC-USD", "SOL-USD"], True)
    assert (change.symbols, change.is_monitored) == (("SOL-USD",), True)
    assert monitored(row) == ["BTC-USD", "SOL-USD"]


def test_all_or_none_are_switched(row):
    with pytest.raises(UnknownSymbol):
        switch(row, ["SOL-USD", "NOT-USD"], True)
    assert monitored(row) == ["BTC-USD"]


@pytest.mark.parametrize("is_monitored", [True, False])
def test_what_was_monitored_before_is_monitored_again(row, is_monitored):
    row.symbols.filter(symbol="ETH-USD").update(is_monitored=True)
    before = monitored(row)
    change = switch(row, NAMES[:3], is_monitored)
    assert monitored(row) != before
    back, left = take_back(row, Change.from_json(orjson.loads(orjson.dumps(change.as_json()))))
    assert (monitored(row), left) == (before, [])
    assert back.symbols == change.symbols


def test_what_others_switched_meanwhile_stays(row):
    change = switch(row, NAMES[:3], True)
    monitor(row, ["XRP-USD"])
    unmonitor(row, ["ETH-USD"])
    back, left = take_back(row, change)
    assert (monitored(row), back.symbols, left) == (
        ["BTC-USD", "XRP-USD"],
        ("SOL-USD",),
        ["ETH-USD"],
    )


def test_what_others_removed_and_added_again_is_theirs(row):
    change = switch(row, ["SOL-USD"], True)
    unmonitor(row, ["SOL-USD"])
    monitor(row, ["SOL-USD"])
    assert take_back(row, change)[1] == ["SOL-USD"]
    assert monitored(row) == ["BTC-USD", "SOL-USD"]


def test_what_the_exchange_halted_or_delisted_meanwhile_is_taken_back_too(row):
    change = switch(row, ["BTC-USD"], False)
    sync_symbols(row, listed(*NAMES[1:]))
    take_back(row, change)
    assert monitored(row) == ["BTC-USD"]
    change = switch(row, ["SOL-USD"], True)
    sync_symbols(row, [*listed(*NAMES[:2]), *listed("SOL-USD", is_trading=False)])
    take_back(row, change)
    assert monitored(row) == ["BTC-USD"]


def test_taking_back_twice_changes_nothing(row):
    change = switch(row, ["SOL-USD"], True)
    take_back(row, change)
    before = timezone.now()
    back, left = take_back(row, change)
    assert (back.symbols, left) == ((), ["SOL-USD"])
    assert not row.symbols.filter(updated_at__gt=before).exists()


def test_a_change_may_itself_be_taken_back_again(row):
    change = switch(row, ["SOL-USD"], True)
    back, _ = take_back(row, change)
    take_back(row, back)
    assert monitored(row) == ["BTC-USD", "SOL-USD"]
