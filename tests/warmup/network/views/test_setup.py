"""The setup: accounts are added and changed."""

import orjson
import pytest
from django.contrib.admin.models import LogEntry

from exchanges.accounts import save_account
from exchanges.models import Exchange, UserExchange
from tests.warmup.network.operators import person
from tests.warmup.network.views.addresses import (
    JSON,
    SECRET,
    account_form,
    add_account,
    default_of,
    url,
)

pytestmark = pytest.mark.django_db


def test_the_setup_shows_ones_own_accounts_here_and_no_value(row, ada, page, browser, monkeypatch):
    monkeypatch.setenv("BINANCE_KEY", SECRET)
    add_account(ada, row, "Mine", api_key_env="BINANCE_KEY", api_secret_env="BINANCE_SECRET")
    add_account(ada, Exchange.objects.get(name="coinbase"), "Elsewhere")
    add_account(person("bob"), row, "Theirs")
    text, status = page("setup", row)
    fragment = text.split('class="panel fragment"')[1]
    assert (status, "Mine" in fragment, "<html" in text) == (200, True, True)
    assert "Theirs" not in fragment
    assert "Elsewhere" not in fragment
    assert 'BINANCE_KEY</code> <span class="tag good">' in fragment
    assert 'BINANCE_SECRET</code> <span class="tag warn">' in fragment
    assert SECRET not in text
    answer = browser.get(url("setup", row), headers={"Accept": JSON}).json()
    assert ("Mine" in answer["html"], "<html" in answer["html"]) == (True, False)


def test_a_first_account_is_added_as_the_default(row, ada, script, form):
    status, answer = script("setup", row, **account_form())
    assert (status, answer["ok"]) == (200, True)
    assert answer["text"] == "Main was added, the default: it is the only active one."
    assert "Main" in answer["html"]
    assert "New account" in answer["html"]
    assert "?account=" not in answer["html"].split("<form")[1]
    assert 'value="Main"' not in answer["html"]
    text, status = form("setup", row, **account_form(display_name="Second", is_default="on"))
    assert (status, "Second was added, the default." in text) == (200, True)
    assert default_of(ada) == "Second"
    assert ada.user_exchanges.filter(is_default=True).count() == 1


def test_an_account_is_changed(row, ada, script):
    account = add_account(ada, row, "Main")
    status, answer = script(
        "setup", row, query=f"?account={account.pk}", **account_form(display_name="Renamed")
    )
    assert (status, answer["text"]) == (
        200,
        "Renamed was changed, the default: it is the only active one.",
    )
    assert ada.user_exchanges.get().display_name == "Renamed"


def test_whose_account_it_is_and_where_can_not_be_sent(row, ada, script):
    other = Exchange.objects.get(name="coinbase")
    script("setup", row, **account_form(user=person("bob").pk, exchange=other.pk))
    account = UserExchange.objects.get()
    assert (account.user, account.exchange) == (ada, row)


@pytest.mark.parametrize("number", ["theirs", "elsewhere", "0", "x", "9" * 5000, "\0", "1 OR 1"])
def test_another_account_than_ones_own_is_not_there(row, ada, script, browser, number):
    theirs = add_account(person("bob"), row, "Theirs")
    elsewhere = add_account(ada, Exchange.objects.get(name="coinbase"), "Elsewhere")
    pk = {"theirs": theirs.pk, "elsewhere": elsewhere.pk}.get(number, number)
    query = {"account": pk}
    assert browser.get(url("setup", row), query).status_code == 404
    response = browser.post(url("setup", row) + f"?account={pk}", account_form(), follow=True)
    assert response.status_code == 404
    assert {each.display_name for each in UserExchange.objects.all()} == {"Theirs", "Elsewhere"}


@pytest.mark.parametrize(
    ("values", "field", "message"),
    [
        ({"display_name": ""}, "display_name", "required"),
        ({"display_name": "Taken"}, "display_name", "an account of that name"),
        ({"display_name": "a\0b"}, "display_name", "Null characters"),
        ({"api_key_env": "HOME"}, "api_key_env", "must begin with"),
        ({"api_secret_env": SECRET}, "api_secret_env", "not the name of an environment variable"),
        ({"is_active": "", "is_default": "on"}, "is_default", "activate it first"),
    ],
)
def test_errors_stand_next_to_their_fields(row, ada, script, browser, values, field, message):
    add_account(ada, row, "Taken")
    values = {
        name: value
        for name, value in account_form(**values).items()
        if value or name != "is_active"
    }
    status, answer = script("setup", row, **values)
    assert (status, answer["ok"], list(answer["errors"])) == (400, False, [field])
    assert message in answer["errors"][field][0]
    place = answer["html"].index(f'name="{field}"')
    assert f'id="id_{field}_error"' in answer["html"][place:]
    assert SECRET not in orjson.dumps(answer).decode()
    response = browser.post(url("setup", row), values)
    assert (response.status_code, SECRET in response.content.decode()) == (400, False)
    assert (ada.user_exchanges.count(), LogEntry.objects.count()) == (1, 0)


def test_saving_an_account_leaves_its_row_in_the_history(row, ada, script):
    script("setup", row, **account_form(api_key_env="BINANCE_KEY"))
    entry = LogEntry.objects.get()
    assert (entry.user, entry.object_id) == (ada, str(row.pk))
    assert entry.get_change_message() == "Setup: account “Main” added"


def test_an_account_that_is_gone_by_then_is_said_in_a_line(row, ada, script, monkeypatch):
    account = add_account(ada, row, "Main")

    def delete_first(saved):
        UserExchange.objects.all().delete()
        return save_account(saved)

    monkeypatch.setattr("exchanges.accounts.save_account", delete_first)
    status, answer = script(
        "setup", row, query=f"?account={account.pk}", **account_form(is_default="on")
    )
    assert (status, answer["errors"]["__all__"]) == (
        400,
        ["This account was deleted by somebody else."],
    )


def test_an_account_that_another_window_added_first_is_said_at_its_name(
    row, ada, script, monkeypatch
):
    def add_first(saved):
        monkeypatch.undo()
        add_account(ada, row, saved.display_name)
        return save_account(saved)

    monkeypatch.setattr("exchanges.accounts.save_account", add_first)
    status, answer = script("setup", row, **account_form())
    assert status == 400
    assert "an account of that name" in answer["errors"]["display_name"][0]
