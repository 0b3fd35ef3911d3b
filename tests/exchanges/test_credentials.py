import pytest
from django.contrib.auth import get_user_model

from exchanges.accounts import deactivate, save_account
from exchanges.credentials import find_choice, find_credentials
from exchanges.models import Exchange, UserExchange
from exchanges.rest.key import Credentials

pytestmark = pytest.mark.django_db


@pytest.fixture
def exchange():
    return Exchange.objects.create(name="somewhere", display_name="Somewhere", venue="coinbase")


@pytest.fixture
def account(exchange):
    """Return a maker of accounts whose variables hold their name; each belongs to somebody else."""

    def account(name, **settings):
        user = get_user_model().objects.create(username=f"of-{name}")
        values = {
            "user": user,
            "exchange": exchange,
            "display_name": name,
            "api_key_env": f"COINBASE_{name}_KEY",
            "api_secret_env": f"COINBASE_{name}_SECRET",
        }
        return save_account(UserExchange(**values | settings))

    return account


@pytest.fixture
def choose(exchange):
    def choose(account):
        Exchange.objects.filter(pk=exchange.pk).update(account=account)

    return choose


@pytest.fixture
def environment(monkeypatch):
    """Set the variables of the accounts of these names."""

    def environment(*names):
        for name in names:
            monkeypatch.setenv(f"COINBASE_{name}_KEY", f"key of {name}")
            monkeypatch.setenv(f"COINBASE_{name}_SECRET", f"secret of {name}")

    return environment


def keys_of(name):
    return Credentials(f"key of {name}", f"secret of {name}")


def test_an_exchange_without_accounts_has_none(exchange):
    assert find_credentials(exchange) is None


def test_nobodys_key_is_used_until_an_account_is_chosen(exchange, account, choose, environment):
    account("A", is_default=True)
    b = account("B")
    environment("A", "B")
    assert find_choice(exchange).account is None
    assert (find_credentials(exchange), find_choice(exchange).trouble) == (None, "")
    choose(b)
    assert find_credentials(exchange) == keys_of("B")
    assert find_credentials(exchange).variables == ("COINBASE_B_KEY", "COINBASE_B_SECRET")


def test_what_is_chosen_is_read_anew_whatever_the_caller_holds(
    exchange, account, choose, environment
):
    exchange.account = account("A")
    environment("A")
    assert find_credentials(exchange) is None
    choose(exchange.account)
    exchange.account = None
    assert find_credentials(exchange) == keys_of("A")


@pytest.mark.parametrize("unset", ["KEY", "SECRET"])
def test_where_a_variable_is_not_set_no_other_account_takes_its_place(
    exchange, account, choose, environment, monkeypatch, unset
):
    account("B")
    choose(account("A"))
    environment("A", "B")
    monkeypatch.setenv(f"COINBASE_A_{unset}", "")
    choice = find_choice(exchange)
    assert (choice.credentials, choice.trouble) == (None, f"COINBASE_A_{unset} of A not set")


def test_an_inactive_account_is_never_used(exchange, account, choose, environment):
    chosen = account("A")
    choose(chosen)
    environment("A")
    UserExchange.objects.filter(pk=chosen.pk).update(is_active=False, is_default=False)
    choice = find_choice(exchange)
    assert choice.credentials is None
    assert "A is inactive" in choice.trouble


def test_an_account_at_another_exchange_is_never_used(exchange, account, choose, environment):
    other = Exchange.objects.create(name="other", display_name="Other", venue="coinbase")
    choose(account("A", exchange=other))
    environment("A")
    choice = find_choice(exchange)
    assert choice.credentials is None
    assert "at another exchange" in choice.trouble


def test_an_account_that_names_no_variables_gives_none(exchange, account, choose):
    choose(account("A", api_key_env="", api_secret_env=""))
    choice = find_choice(exchange)
    assert (choice.credentials, choice.trouble) == (
        None,
        "A, chosen for it, names no key and secret",
    )


@pytest.mark.parametrize(
    "name", ["HOME", "BINANCE_A_KEY", "LIVERMORE_KEY_A", "LIVERMORE_SECRET_KEY", "coinbase_key"]
)
def test_a_name_that_is_not_the_venues_is_refused_when_it_is_used_too(
    exchange, account, choose, monkeypatch, name
):
    choose(account("A", api_key_env=name))
    for each in (name, "COINBASE_A_SECRET"):
        monkeypatch.setenv(each, "geheim")
    choice = find_choice(exchange)
    assert choice.credentials is None
    assert "key variable" in choice.trouble


@pytest.mark.parametrize("field", ["api_secret_env", "passphrase_env"])
@pytest.mark.parametrize("form", ["{}", " {}", "{}\n", "lower"])
@pytest.mark.parametrize("is_active", [True, False])
def test_what_anybody_named_as_a_secret_is_no_key_when_it_is_used(
    exchange, account, choose, environment, field, form, is_active
):
    choose(account("A"))
    environment("A")
    name = "coinbase_a_key" if form == "lower" else form.format("COINBASE_A_KEY")
    account("B", is_active=is_active)
    UserExchange.objects.filter(display_name="B").update(**{field: name})
    choice = find_choice(exchange)
    assert choice.credentials is None
    assert "holds a secret of an account" in choice.trouble


@pytest.mark.parametrize("field", ["api_secret_env", "passphrase_env"])
def test_a_key_that_is_a_secret_of_the_same_account_is_not_used(
    exchange, account, choose, environment, field
):
    chosen = account("A")
    choose(chosen)
    environment("A")
    UserExchange.objects.filter(pk=chosen.pk).update(**{field: "COINBASE_A_KEY"})
    assert find_credentials(exchange) is None


def test_a_key_and_its_twin_at_another_exchange_may_share_both_variables(
    exchange, account, choose, environment
):
    other = Exchange.objects.create(name="other", display_name="Other", venue="coinbase")
    choose(account("A"))
    names = {"api_key_env": "COINBASE_A_KEY", "api_secret_env": "COINBASE_A_SECRET"}
    account("B", exchange=other, **names)
    environment("A")
    assert find_credentials(exchange) == keys_of("A")


def test_a_row_that_speaks_another_protocol_now_uses_no_key_of_the_old_one(
    exchange, account, choose, environment
):
    choose(account("A"))
    environment("A")
    exchange.venue = "binance"
    assert find_credentials(exchange) is None


def test_a_deactivated_account_is_the_choice_of_no_exchange_any_more(
    exchange, account, choose, environment
):
    chosen = account("A")
    choose(chosen)
    environment("A")
    deactivate(chosen)
    chosen.is_active = True
    save_account(chosen)
    assert find_choice(exchange).account is None


def test_a_changed_variable_is_seen_at_once(exchange, account, choose, environment, monkeypatch):
    choose(account("A"))
    environment("A")
    find_credentials(exchange)
    monkeypatch.setenv("COINBASE_A_KEY", "another")
    assert find_credentials(exchange).key == "another"


def test_keys_do_not_show():
    shown = repr(Credentials("the key", "the secret"))
    assert "the key" not in shown
    assert "the secret" not in shown
