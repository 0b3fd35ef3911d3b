import pytest
from django.core.exceptions import ValidationError

from exchanges.accounts import (
    deactivate,
    delete_account,
    make_default,
    save_account,
    save_choice,
)
from exchanges.models import Exchange, UserExchange

pytestmark = pytest.mark.django_db


@pytest.fixture
def exchange():
    return Exchange.objects.create(name="somewhere", venue="binance")


@pytest.fixture
def user(django_user_model):
    return django_user_model.objects.create_user("ada")


@pytest.fixture
def other_user(django_user_model):
    return django_user_model.objects.create_user("bob")


@pytest.fixture
def add(user, exchange):
    def add(name, owner=user, **values):
        return save_account(
            UserExchange(user=owner, exchange=exchange, display_name=name, **values)
        )

    return add


def defaults(user):
    return [account.display_name for account in user.user_exchanges.filter(is_default=True)]


def test_the_first_account_becomes_the_default(user, add):
    assert add("first").is_default
    assert not add("second").is_default
    assert defaults(user) == ["first"]


def test_a_first_account_that_is_inactive_does_not(user, add):
    add("asleep", is_active=False)
    assert defaults(user) == []
    add("awake")
    assert defaults(user) == ["awake"]


def test_each_user_has_a_default_of_their_own(user, other_user, add):
    add("hers")
    add("his", owner=other_user)
    assert (defaults(user), defaults(other_user)) == (["hers"], ["his"])


def test_a_new_default_unsets_the_previous_one(user, add):
    add("first")
    add("second", is_default=True)
    assert defaults(user) == ["second"]


def test_make_default_unsets_the_previous_one(user, add):
    add("first")
    assert make_default(add("second")).is_default
    assert defaults(user) == ["second"]


def test_make_default_reads_what_was_stored_meanwhile(user, add):
    add("first")
    second = add("second")
    deactivate(UserExchange.objects.get(pk=second.pk))
    with pytest.raises(ValidationError, match="activate it first"):
        make_default(second)
    assert defaults(user) == ["first"]


def test_an_inactive_account_can_not_be_the_default(user, add):
    add("first")
    with pytest.raises(ValidationError, match="second is inactive and can't be the default"):
        add("second", is_active=False, is_default=True)
    assert defaults(user) == ["first"]


def test_deactivating_the_default_promotes_the_oldest_active_one(user, add):
    first = add("first")
    add("asleep", is_active=False)
    add("third")
    add("fourth")
    deactivate(first)
    assert defaults(user) == ["third"]


def test_of_equally_old_accounts_the_one_added_first_is_promoted(user, add):
    accounts = [add(name) for name in ("first", "second", "third")]
    UserExchange.objects.update(created_at=accounts[0].created_at)
    deactivate(accounts[0])
    assert defaults(user) == ["second"]


def test_deactivating_another_account_leaves_the_default(user, add):
    add("first")
    deactivate(add("second"))
    assert defaults(user) == ["first"]


def test_deactivating_the_last_one_leaves_no_default_and_activating_brings_it_back(user, add):
    only = deactivate(add("only"))
    assert defaults(user) == []
    only.is_active = True
    save_account(only)
    assert defaults(user) == ["only"]


def test_deleting_the_default_promotes_the_oldest_active_one(user, add):
    first = add("first")
    add("second")
    add("third")
    delete_account(first)
    assert defaults(user) == ["second"]


def test_deleting_what_is_gone_is_no_mistake(user, add):
    first = add("first")
    copy = UserExchange.objects.get(pk=first.pk)
    delete_account(first)
    delete_account(copy)
    assert not user.user_exchanges.exists()


def test_saving_what_was_deleted_does_not_bring_it_back(user, add):
    first = add("first")
    delete_account(UserExchange.objects.get(pk=first.pk))
    with pytest.raises(ValidationError, match="deleted"):
        save_account(first)
    assert not user.user_exchanges.exists()


def test_unsetting_the_default_promotes_another(user, add):
    first = add("first")
    add("second")
    first.is_default = False
    save_account(first)
    assert defaults(user) == ["second"]


def test_unsetting_the_only_active_account_keeps_it_the_default(user, add):
    only = add("only")
    add("asleep", is_active=False)
    only.is_default = False
    assert save_account(only).is_default


def test_a_moved_default_leaves_a_default_behind_and_displaces_none(user, other_user, add):
    first = add("first")
    add("second")
    add("his", owner=other_user)
    first.user = other_user
    assert not save_account(first).is_default
    assert (defaults(user), defaults(other_user)) == (["second"], ["his"])


def test_a_moved_account_is_the_default_of_a_user_without_one(user, other_user, add):
    add("first")
    second = add("second")
    second.user = other_user
    save_account(second)
    assert (defaults(user), defaults(other_user)) == (["first"], ["second"])


def test_rows_written_around_are_corrected_by_the_next_change(user, exchange, add):
    for name in ("one", "two"):
        UserExchange.objects.create(user=user, exchange=exchange, display_name=name)
    add("three")
    assert defaults(user) == ["one"]


def test_a_failed_save_leaves_the_previous_default(user, add, monkeypatch):
    add("first")

    def fail(*args, **kwargs):
        raise RuntimeError

    monkeypatch.setattr(UserExchange, "save", fail)
    with pytest.raises(RuntimeError):
        add("second", is_default=True)
    assert defaults(user) == ["first"]


# -- What an exchange uses


@pytest.fixture
def used(add, exchange):
    """Return an account whose key the exchange uses."""
    account = add("used", api_key_env="BINANCE_KEY", api_secret_env="BINANCE_SECRET")
    Exchange.objects.filter(pk=exchange.pk).update(account=account)
    return account


def choice(exchange):
    return Exchange.objects.get(pk=exchange.pk).account


@pytest.mark.parametrize(
    "change",
    [
        lambda other: {"user": other},
        lambda other: {"exchange": Exchange.objects.create(name="elsewhere", venue="binance")},
        lambda other: {"api_key_env": "BINANCE_OTHER"},
        lambda other: {"api_secret_env": "BINANCE_OTHER"},
        lambda other: {"passphrase_env": "BINANCE_OTHER"},
    ],
)
def test_which_key_it_is_stays_while_an_exchange_uses_it(used, exchange, other_user, change):
    for name, value in change(other_user).items():
        setattr(used, name, value)
    with pytest.raises(ValidationError, match="is used by somewhere, so its variables"):
        save_account(used)
    stored = UserExchange.objects.get()
    assert (stored.user, stored.api_key_env) != (other_user, "BINANCE_OTHER")
    assert choice(exchange) == stored


def test_a_used_account_may_be_renamed_and_made_the_default(used, exchange, add):
    add("other", is_default=True)
    used.refresh_from_db()
    used.display_name = "renamed"
    make_default(save_account(used))
    assert choice(exchange).display_name == "renamed"


def test_deactivated_in_one_go_with_a_change_it_is_used_no_more(used, exchange):
    used.api_key_env, used.is_active, used.is_default = "BINANCE_OTHER", False, False
    save_account(used)
    assert choice(exchange) is None
    used.is_active = True
    save_account(used)
    assert choice(exchange) is None


def test_a_used_account_is_not_deleted_until_it_is_deactivated(used, exchange):
    with pytest.raises(ValidationError, match="so it is not deleted"):
        delete_account(used)
    assert choice(exchange) == used
    deactivate(used)
    delete_account(used)
    assert not UserExchange.objects.exists()


def test_a_choice_is_saved_only_of_what_may_be_used(add, exchange):
    account = add("asleep", is_active=False)
    exchange.account = account
    with pytest.raises(ValidationError, match="asleep is inactive"):
        save_choice(exchange)
    assert choice(exchange) is None


def test_a_choice_is_of_what_was_shown_however_the_account_was_read(add, exchange):
    account = add("main", api_key_env="BINANCE_KEY")
    shown = account.which_key()
    UserExchange.objects.update(api_key_env="BINANCE_OTHER")
    exchange.account = UserExchange.objects.get()
    with pytest.raises(ValidationError, match="main was changed since"):
        save_choice(exchange, shown)
    exchange.account = account  # read before
    with pytest.raises(ValidationError, match="main was changed since"):
        save_choice(exchange)
    exchange.account = UserExchange.objects.get()
    save_choice(exchange)
    assert choice(exchange).api_key_env == "BINANCE_OTHER"
