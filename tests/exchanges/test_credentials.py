from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone

from exchanges.accounts import save_account
from exchanges.credentials import Credentials, find_credentials
from exchanges.models import Exchange, UserExchange

pytestmark = pytest.mark.django_db


@pytest.fixture
def exchange():
    return Exchange.objects.create(name="somewhere", display_name="Somewhere", venue="coinbase")


@pytest.fixture
def account(exchange):
    """Return a maker of accounts whose variables begin with their name, each older than the last.

    Without a user, each belongs to somebody else.
    """

    def account(name, user=None, **settings):
        made = UserExchange.objects.count()
        user = user or get_user_model().objects.create(username=f"user-{made}")
        values = {
            "user": user,
            "exchange": exchange,
            "display_name": name,
            "api_key_env": f"{name}_KEY",
            "api_secret_env": f"{name}_SECRET",
        }
        stored = save_account(UserExchange(**values | settings))
        UserExchange.objects.filter(pk=stored.pk).update(
            created_at=timezone.now() - timedelta(days=made)
        )
        return stored

    return account


@pytest.fixture
def environment(monkeypatch):
    """Set the variables of the accounts of these names."""

    def environment(*names):
        for name in names:
            monkeypatch.setenv(f"{name}_KEY", f"key of {name}")
            monkeypatch.setenv(f"{name}_SECRET", f"secret of {name}")

    return environment


def test_the_names_of_the_variables_are_told_with_the_keys(exchange, account, environment):
    account("MINE")
    environment("MINE")
    assert find_credentials(exchange).variables == ("MINE_KEY", "MINE_SECRET")


def keys_of(name):
    return Credentials(f"key of {name}", f"secret of {name}")


def test_an_exchange_without_accounts_has_none(exchange):
    assert find_credentials(exchange) is None


def test_the_variables_of_an_account_are_read(exchange, account, environment):
    account("A")
    environment("A")
    assert find_credentials(exchange) == keys_of("A")


def test_a_default_account_comes_before_an_older_one(exchange, account, environment):
    first = account("FIRST")
    account("OLDER", user=first.user)
    environment("FIRST", "OLDER")
    assert find_credentials(exchange) == keys_of("FIRST")


def test_of_several_defaults_the_oldest_comes_first(exchange, account, environment):
    account("A")
    account("OLDER")
    environment("A", "OLDER")
    assert find_credentials(exchange) == keys_of("OLDER")


def test_an_account_whose_variables_are_not_set_is_passed_over(
    exchange, account, environment, monkeypatch
):
    default = account("UNSET")
    account("SET", user=default.user)
    environment("SET")
    assert find_credentials(exchange) == keys_of("SET")
    monkeypatch.setenv("UNSET_KEY", "a key without its secret")
    assert find_credentials(exchange) == keys_of("SET")
    monkeypatch.setenv("UNSET_SECRET", "")
    assert find_credentials(exchange) == keys_of("SET")


def test_an_inactive_account_is_passed_over(exchange, account, environment):
    account("INACTIVE", is_active=False)
    environment("INACTIVE", "ACTIVE")
    assert find_credentials(exchange) is None
    account("ACTIVE")
    assert find_credentials(exchange) == keys_of("ACTIVE")


def test_an_account_that_names_no_variables_is_passed_over(exchange, account):
    account("NAMELESS", api_key_env="", api_secret_env="")
    assert find_credentials(exchange) is None


def test_keys_of_another_exchange_are_not_used(exchange, account, environment):
    other = Exchange.objects.create(name="other", display_name="Other", venue="coinbase")
    account("OTHER", exchange=other)
    environment("OTHER")
    assert find_credentials(exchange) is None


def test_a_changed_variable_is_seen_at_once(exchange, account, environment, monkeypatch):
    account("A")
    environment("A")
    find_credentials(exchange)
    monkeypatch.setenv("A_KEY", "another")
    assert find_credentials(exchange).key == "another"


def test_keys_do_not_show():
    shown = repr(Credentials("the key", "the secret"))
    assert "the key" not in shown
    assert "the secret" not in shown
