"""Where people choose symbols: kinds are told apart, and names found as they are typed."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from exchanges.forms import SymbolsField
from exchanges.symbols.monitoring import monitor
from exchanges.venues import VENUES
from history.archives.opening import market_names
from tests.exchanges.symbols.mixed import mixed_exchange, monitored
from tests.exchanges.venues.toy import VENUE as TOY
from tests.warmup.network.operators import person
from warmup.network.actions.exchange import Actions
from warmup.network.page.symbols import read_listing

pytestmark = pytest.mark.django_db


@pytest.fixture
def row(redis):
    return mixed_exchange(redis)


def run(*arguments):
    output = StringIO()
    call_command("symbols", "sandbox", *arguments, stdout=output)
    return output.getvalue()


def test_a_command_takes_letters_of_either_case(row):
    run("--monitor", "kpepe-usdt-perp,aaplX-usd")
    assert monitored(row) == {"kPEPE-USDT-PERP", "AAPLx-USD"}
    run("--unmonitor", "KPEPE-USDT-PERP")
    assert monitored(row) == {"AAPLx-USD"}


def test_the_most_traded_may_be_of_one_kind(row):
    run("--top", "1", "--quote", "usdt", "--kind", "spot")
    assert monitored(row) == {"BTC-USDT"}
    run("--top", "2", "--quote", "USDT", "--kind", "perpetual")
    assert monitored(row) == {"BTC-USDT", "BTC-USDT-PERP", "kPEPE-USDT-PERP"}
    with pytest.raises(CommandError, match="--kind says which markets --top N takes"):
        run("--kind", "spot")


def test_a_table_says_of_which_kind_they_are(row):
    said = run("--all")
    assert "BTC-USDT        │ BTCUSDT   │ spot" in said
    assert "BTC-USDT-PERP   │ BTCUSDT   │ perpetual" in said


def test_one_that_is_typed_wrong_is_told_what_is_like_it(row):
    with pytest.raises(CommandError, match="similar are: kPEPE-USDT-PERP"):
        call_command("warmup", "sandbox", "--symbols", "kpepp-usdt-perp", stdout=StringIO())


def test_the_dialog_finds_them_by_letters_and_by_kind(redis, row):
    def found(**asked):
        return {each.symbol for each, _ in read_listing(redis, row, asked)["rows"]}

    assert found(q="kpepe") == found(q="KPEPE") == {"kPEPE-USDT-PERP"}
    assert found(kind="perpetual") == {"BTC-USDT-PERP", "kPEPE-USDT-PERP"}
    assert found(kind="spot", quote="usdt") == {"BTC-USDT"}
    assert len(found(kind="nonsense")) == 4


def test_the_dialog_shows_kinds_where_there_are_several(client, redis, row):
    client.force_login(person("bob", "operate_exchange", "view_exchange"))
    address = f"{reverse('network:page')}{row.pk}/choose-symbols/"
    page = client.get(address).content.decode()
    assert '<select name="kind">' in page
    assert "<td>perpetual</td>" in page
    row.symbols.filter(kind="perpetual").delete()
    assert '<select name="kind">' not in client.get(address).content.decode()


def test_the_page_adds_and_watches_what_is_typed_in_other_letters(redis, row):
    actions = Actions(redis, row, person("ada"))
    actions.add_symbols("KPEPE-usdt-perp, btc-usdt")
    assert monitored(row) == {"kPEPE-USDT-PERP", "BTC-USDT"}
    assert actions._watched("kpepe-USDT-perp") == "kPEPE-USDT-PERP"
    actions.add_most_traded("1", "USDT", "perpetual")
    assert "BTC-USDT-PERP" in monitored(row)


def test_the_page_proposes_them_by_other_letters(client, row):
    client.force_login(person("bob", "operate_exchange", "view_exchange"))
    address = f"{reverse('network:page')}{row.pk}/symbols/"
    told = client.get(address, {"q": "kpe"}, headers={"Accept": "application/json"}).json()
    assert told == {"symbols": ["kPEPE-USDT-PERP"]}


def test_forms_of_the_admin_take_them_in_other_letters(row):
    field = SymbolsField(empty="all")
    assert field.to_python("kpepe-usdt-perp\naaplx-usd") == ["kPEPE-USDT-PERP", "AAPLx-USD"]


def test_the_admin_lists_and_filters_by_kind(admin_client, row):
    address = reverse("admin:exchanges_symbol_changelist")
    page = admin_client.get(address, {"kind__exact": "perpetual"}).content.decode()
    assert "kPEPE-USDT-PERP" in page
    assert "AAPLx-USD" not in page


def test_a_name_that_is_known_stays_as_it_is(row):
    assert monitor(row, ["kPEPE-USDT-PERP"]) == 1


def test_bulk_files_are_found_by_names_of_markets_that_are_told_apart(row, monkeypatch):
    monkeypatch.setitem(VENUES, "toy", TOY)
    row.venue = "toy"
    names = market_names(row)
    assert (names["BTC-USDT"], names["BTC-USDT-PERP"]) == ("BTCUSDT", "swap:BTCUSDT")
