"""The setup: the default account, deleting, and what may be no key."""

import orjson
import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from exchanges.models import Exchange
from tests.warmup.network.operators import person
from tests.warmup.network.views.addresses import SECRET, account_form, add_account, default_of, url

pytestmark = pytest.mark.django_db


@pytest.fixture
def two(ada, row):
    return add_account(ada, row, "Main"), add_account(ada, row, "Spare")


def of(account):
    return f"?account={account.pk}"


def test_the_setup_says_first_what_names_a_venue_takes_and_what_a_default_is_for(
    row, ada, page, two
):
    text, _ = page("setup", row)
    assert "names of variables begin with BINANCE_…," in text
    assert "Your default is offered first where somebody chooses whose key" in text
    assert "errorlist" not in text
    coinbase = Exchange.objects.get(name="coinbase")
    assert "names of variables begin with COINBASE_…," in page("setup", coinbase)[0]


def test_an_account_is_made_the_default_in_one_click(row, ada, script, two):
    status, answer = script("default-account", row, query=of(two[1]))
    assert (status, answer["text"]) == (200, "Spare is your default now.")
    assert "html" not in answer
    assert default_of(ada) == "Spare"
    assert LogEntry.objects.get().get_change_message() == (
        "Setup: account “Spare” made the default"
    )
    status, answer = script("default-account", row, query=of(two[0]), dialog="1")
    assert "Setup: " in answer["html"]
    assert default_of(ada) == "Main"


def test_without_script_it_leads_back_to_the_setup(row, ada, form, two):
    text, status = form("default-account", row, query=of(two[1]), dialog="1")
    assert (status, "Spare is your default now." in text, "Setup: " in text) == (200, True, True)


def test_an_account_is_deleted_after_a_question(row, ada, page, script, browser, two):
    question = browser.get(url("delete-account", row) + of(two[0])).content.decode()
    assert "Delete Main at" in question
    assert "the oldest of your other active accounts becomes the default" in question
    assert ada.user_exchanges.count() == 2
    status, answer = script("delete-account", row, query=of(two[0]))
    assert (status, answer["text"]) == (200, "Main was deleted.")
    assert default_of(ada) == "Spare"
    assert LogEntry.objects.get().get_change_message() == "Setup: account “Main” deleted"


def test_an_account_in_use_is_not_deleted_and_a_line_says_so(row, ada, script, browser, two):
    Exchange.objects.filter(pk=row.pk).update(account=two[0])
    question = browser.get(url("delete-account", row) + of(two[0])).content.decode()
    assert f"The key of Main is used by {row.name}, so it is not deleted." in question
    assert 'class="danger"' not in question
    status, answer = script("delete-account", row, query=of(two[0]))
    assert (status, answer["ok"]) == (400, False)
    assert f"The key of Main is used by {row.name}" in answer["html"]
    assert (ada.user_exchanges.count(), LogEntry.objects.count()) == (2, 0)


@pytest.mark.parametrize("field", ["api_key_env", "api_secret_env", "passphrase_env"])
def test_whose_key_an_exchange_uses_is_not_led_elsewhere_in_the_setup(row, ada, script, field):
    names = {"api_key_env": "BINANCE_KEY", "api_secret_env": "BINANCE_SECRET"}
    account = add_account(ada, row, "Main", **names)
    Exchange.objects.filter(pk=row.pk).update(account=account)
    changed = account_form(**names | {field: "BINANCE_OTHER"})
    status, answer = script("setup", row, query=of(account), **changed)
    assert status == 400
    assert f"is used by {row.name}, so its variables" in answer["errors"]["__all__"][0]
    assert 'value="BINANCE_OTHER"' in answer["html"]  # what was typed stays
    account.refresh_from_db()
    assert (account.api_key_env, account.passphrase_env) == ("BINANCE_KEY", "")
    inactive = {name: value for name, value in changed.items() if name != "is_active"}
    assert script("setup", row, query=of(account), **inactive)[0] == 200
    assert script("setup", row, query=of(account), **changed)[0] == 200
    assert Exchange.objects.get(pk=row.pk).account is None


@pytest.mark.parametrize("name", ["default-account", "delete-account"])
def test_nobody_touches_the_account_of_another(row, ada, two, name):
    bob = Client()
    bob.force_login(person("bob", "operate_exchange", "view_exchange"))
    assert bob.post(url(name, row) + of(two[1])).status_code == 404
    looker = Client()
    looker.force_login(person("eve", "view_exchange"))
    assert looker.post(url(name, row) + of(two[1])).status_code == 403
    assert (default_of(ada), ada.user_exchanges.count()) == ("Main", 2)


def test_nothing_is_made_the_default_by_looking(row, ada, browser, two):
    assert browser.get(url("default-account", row) + of(two[1])).status_code == 405
    assert browser.get(url("delete-account", row) + of(two[1])).status_code == 200
    assert (default_of(ada), ada.user_exchanges.count()) == ("Main", 2)


def test_an_inactive_account_is_not_made_the_default(row, ada, script, two):
    asleep = add_account(ada, row, "Asleep", is_active=False)
    status, answer = script("default-account", row, query=of(asleep))
    assert (status, "activate it first" in answer["text"]) == (400, True)
    assert default_of(ada) == "Main"


def test_a_typed_name_stays_to_be_corrected_and_what_may_be_a_secret_goes(row, ada, script):
    typed = account_form(api_key_env="MY_KEY", api_secret_env=SECRET)
    status, answer = script("setup", row, **typed)
    assert status == 400
    assert 'value="MY_KEY"' in answer["html"]
    assert 'value="Main"' in answer["html"]
    assert SECRET not in orjson.dumps(answer).decode()


SECRETS_IN_CAPITALS = ["JBSWY3DPEHPK3PXP", "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", "A" * 64]


@pytest.mark.parametrize("secret", SECRETS_IN_CAPITALS)
def test_a_secret_in_capitals_does_not_stay(row, ada, script, secret):
    _, answer = script("setup", row, **account_form(api_key_env=secret))
    assert secret not in orjson.dumps(answer).decode()


@pytest.mark.parametrize(
    ("mine", "fault"),
    [
        ({"api_key_env": "BINANCE_SECRET"}, "holds a secret of an account"),
        ({"api_key_env": "BINANCE_PHRASE"}, "holds a secret of an account"),
        ({"api_secret_env": "BINANCE_KEY"}, "named as the key of an account"),
        ({"passphrase_env": "BINANCE_KEY"}, "named as the key of an account"),
        ({"api_key_env": "BINANCE_A", "api_secret_env": "BINANCE_A"}, "holds a secret"),
        ({"api_key_env": "BINANCE_A", "passphrase_env": "BINANCE_A"}, "holds a secret"),
        ({"api_key_env": "COINBASE_KEY"}, "must begin with BINANCE_."),
    ],
)
def test_what_is_a_secret_of_anybody_is_no_key_nor_the_reverse(row, ada, script, mine, fault):
    add_account(
        person("bob"),
        Exchange.objects.get(name="coinbase"),
        "Theirs",
        api_key_env="BINANCE_KEY",
        api_secret_env="BINANCE_SECRET",
        passphrase_env="BINANCE_PHRASE",
        is_active=False,
    )
    status, answer = script("setup", row, **account_form(**mine))
    assert status == 400
    [(field, [line])] = answer["errors"].items()
    assert field in mine
    assert fault in line
    assert "Theirs" not in line
