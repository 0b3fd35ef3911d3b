"""Threads with connections of their own, against whichever database DATABASE_URL names."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.contrib.auth import get_user_model
from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.db import connection

from exchanges.accounts import deactivate, delete_account, make_default, save_account, save_choice
from exchanges.models import Exchange, UserExchange
from exchanges.symbols.listed import ListedSymbol
from exchanges.symbols.listing import sync_symbols

pytestmark = pytest.mark.django_db(transaction=True)

THREADS = 8
ROUNDS = 10


def together(*calls):
    """Start all calls at the same moment; a refusal is an answer, any other error is raised."""
    barrier = Barrier(len(calls))

    def run(call):
        try:
            connection.ensure_connection()
            barrier.wait(timeout=20)
            return call()
        except (ValidationError, ObjectDoesNotExist) as refusal:
            return refusal
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result(timeout=60) for future in [pool.submit(run, call) for call in calls]]


@pytest.fixture
def exchange():
    return Exchange.objects.create(name="somewhere", venue="binance")


@pytest.fixture
def user():
    return get_user_model().objects.create_user("ada")


@pytest.fixture
def new_account(user, exchange):
    def new_account(name, owner=user, **values):
        return UserExchange(user=owner, exchange=exchange, display_name=str(name), **values)

    return new_account


def calls(function, accounts):
    """Return one call for each account, as it is in the database now."""
    copies = [UserExchange.objects.get(pk=account.pk) for account in accounts]
    return [lambda copy=copy: function(copy) for copy in copies]


def assert_one_default_if_any_is_active(user):
    active = user.user_exchanges.filter(is_active=True)
    defaults = user.user_exchanges.filter(is_default=True)
    assert defaults.count() == min(active.count(), 1)
    assert all(account.is_active for account in defaults)


def test_of_first_accounts_added_at_once_one_is_the_default(user, new_account):
    together(*[lambda n=n: save_account(new_account(n)) for n in range(THREADS)])
    assert user.user_exchanges.count() == THREADS
    assert user.user_exchanges.filter(is_default=True).count() == 1


def test_of_new_defaults_added_at_once_one_stays(user, new_account):
    together(*[lambda n=n: save_account(new_account(n, is_default=True)) for n in range(THREADS)])
    assert user.user_exchanges.filter(is_default=True).count() == 1


def test_of_defaults_made_at_once_one_stays(user, new_account):
    accounts = [save_account(new_account(n)) for n in range(THREADS)]
    for _ in range(ROUNDS):
        answers = together(*calls(make_default, accounts))
        assert not any(isinstance(answer, Exception) for answer in answers)
        assert user.user_exchanges.filter(is_default=True).count() == 1


def test_deactivating_while_others_are_made_default_leaves_one(user, new_account):
    for number in range(ROUNDS):
        a, b, c = (save_account(new_account(f"{number}{name}")) for name in "abc")
        together(
            *calls(deactivate, [a, b]), *calls(make_default, [a, b, c]), *calls(deactivate, [a])
        )
        assert_one_default_if_any_is_active(user)
        assert user.user_exchanges.filter(is_active=True).exists()
        UserExchange.objects.all().delete()


def test_deactivating_all_at_once_leaves_none(user, new_account):
    accounts = [save_account(new_account(n)) for n in range(THREADS)]
    together(*calls(deactivate, accounts))
    assert not user.user_exchanges.filter(is_default=True).exists()


def test_deleting_and_deactivating_at_once_leaves_one(user, new_account):
    for number in range(ROUNDS):
        a, b, c = (save_account(new_account(f"{number}{name}")) for name in "abc")
        together(
            *calls(delete_account, [a, b]), *calls(deactivate, [a, b]), *calls(make_default, [b])
        )
        assert_one_default_if_any_is_active(user)
        assert c.pk in user.user_exchanges.values_list("pk", flat=True)
        UserExchange.objects.all().delete()


def test_accounts_handed_over_in_both_directions_leave_both_users_right(user, new_account):
    other = get_user_model().objects.create_user("bob")

    def give_to(owner):
        def give(account):
            account.user = owner
            return save_account(account)

        return give

    for number in range(ROUNDS):
        hers = [save_account(new_account(f"{number}hers{n}")) for n in range(2)]
        his = [save_account(new_account(f"{number}his{n}", owner=other)) for n in range(2)]
        together(
            *calls(give_to(other), hers), *calls(give_to(user), his), *calls(make_default, hers)
        )
        assert_one_default_if_any_is_active(user)
        assert_one_default_if_any_is_active(other)
        UserExchange.objects.all().delete()


def test_only_the_variables_that_were_shown_are_ever_chosen(exchange, new_account):
    def choose(account, shown):
        row = Exchange.objects.get(pk=exchange.pk)
        row.account = account
        save_choice(row, shown)

    def lead_elsewhere(account):
        account.api_key_env = "BINANCE_OTHER"
        return save_account(account)

    for number in range(ROUNDS):
        account = save_account(new_account(number, api_key_env="BINANCE_KEY"))
        shown = account.which_key()
        copy = UserExchange.objects.get(pk=account.pk)
        together(
            lambda copy=copy, shown=shown: choose(copy, shown), *calls(lead_elsewhere, [account])
        )
        stored = UserExchange.objects.get(pk=account.pk)
        is_chosen = Exchange.objects.get(pk=exchange.pk).account_id is not None
        assert is_chosen == (stored.api_key_env == "BINANCE_KEY")
        Exchange.objects.update(account=None)
        UserExchange.objects.all().delete()


def test_a_listing_synced_twice_at_once_adds_each_symbol_once(exchange):
    listing = [ListedSymbol(f"S{n}-USD", f"S{n}USD", f"S{n}", "USD", True) for n in range(200)]
    reports = together(*[lambda: sync_symbols(exchange, listing) for _ in range(4)])
    assert sum(report.added for report in reports) == 200
    assert exchange.symbols.count() == 200
