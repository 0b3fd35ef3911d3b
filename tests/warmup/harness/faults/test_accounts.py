"""Accounts, their variables and their keys."""

import base64
import re

import pytest
from django.contrib.auth import get_user_model

from exchanges.models import Exchange, UserExchange
from exchanges.venues.coinbase import key
from tests.warmup.harness.conftest import (
    WELL,
    failures,
    results,
    step_of,
)
from tests.warmup.harness.faults.told import add_account, lines
from warmup.harness import ExchangeCheck

pytestmark = pytest.mark.django_db


def test_a_variable_that_is_missing_is_named(row, checked, monkeypatch):
    add_account(row, key="BINANCE_KEY", secret="BINANCE_SECRET")
    monkeypatch.setenv("BINANCE_KEY", "geheim")
    report = checked(row)
    assert results(report) == WELL | {"environment": "FAIL"}
    text = lines(step_of(report, "environment"))
    assert "account main: BINANCE_SECRET is not set" in text
    assert "BINANCE_KEY" not in text
    assert "geheim" not in str(report.as_json())


@pytest.mark.parametrize(
    ("value", "says"),
    [("", "is not set"), (" \n", "is empty"), ("geheim\n", "begins or ends with a blank")],
)
def test_a_variable_that_holds_no_key_is_told(row, checked, monkeypatch, value, says):
    add_account(row, key="BINANCE_KEY")
    monkeypatch.setenv("BINANCE_KEY", value)
    report = checked(row)
    assert failures(report) == ["environment"]
    assert f"account main: BINANCE_KEY {says}" in lines(step_of(report, "environment"))
    assert "geheim" not in str(report.as_json())


ID = "8f1ac569-ed29-48ae-b989-6798a975afab"
SEED = base64.b64encode(b"geheim" + 26 * b"s").decode()


def choose(row, account):
    Exchange.objects.filter(pk=row.pk).update(account=account)


@pytest.fixture
def chosen(coinbase, monkeypatch):
    """Return Coinbase's row, with an account that is chosen and whose variables are good."""
    monkeypatch.setattr(key, "_STATES", {})
    choose(coinbase, add_account(coinbase, key="COINBASE_KEY", secret="COINBASE_SECRET"))
    monkeypatch.setenv("COINBASE_KEY", ID)
    monkeypatch.setenv("COINBASE_SECRET", SEED)
    return coinbase


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("COINBASE_SECRET", "streng geheim", "neither a PEM private key"),
        ("COINBASE_KEY", "organizations/geheim", "holds no name of a Coinbase key"),
        ("COINBASE_KEY", f"{ID}geheim", "holds no name of a Coinbase key"),
    ],
)
def test_a_key_that_cannot_be_used_is_told_without_it(
    chosen, checked, monkeypatch, variable, value, says
):
    monkeypatch.setenv(variable, value)
    report = checked(chosen)
    assert results(report) == WELL | {"environment": "FAIL"}
    text = lines(step_of(report, "environment"))
    assert variable in text
    assert says in text
    assert "geheim" not in str(report.as_json())


def test_a_key_that_the_exchange_refuses_is_noted_and_candles_come(sandbox, chosen, checked):
    sandbox.faults.add("refused_key")
    report = checked(chosen)
    assert results(report) == WELL | {"environment": "PASS"}
    note = step_of(report, "symbol").remedy
    assert "does not take the key in COINBASE_KEY and COINBASE_SECRET" in note
    assert SEED not in str(report.as_json())


def test_the_key_that_is_used_is_named_by_its_variable(chosen, checked):
    step = step_of(checked(chosen), "environment")
    assert step.detail == (
        "set: COINBASE_KEY, COINBASE_SECRET; it signs with the key in COINBASE_KEY"
    )
    assert step.remedy is None


def test_accounts_with_keys_of_which_none_is_chosen_are_told_in_a_line(chosen, checked):
    choose(chosen, None)
    report = checked(chosen)
    assert results(report) == WELL | {"environment": "PASS"}
    step = step_of(report, "environment")
    assert step.detail == "set: COINBASE_KEY, COINBASE_SECRET"
    assert step.remedy == (
        "1 active account names a key and none is chosen, so none is used: choose the account in "
        "the row, in the admin, or leave it, as public candles need none"
    )


@pytest.mark.parametrize("how", ["inactive", "elsewhere", "a secret"])
def test_a_chosen_account_that_may_not_be_used_costs_no_candle_and_is_told(
    chosen, row, checked, how
):
    account = UserExchange.objects.get()
    if how == "inactive":
        UserExchange.objects.update(is_active=False)
    elif how == "elsewhere":
        UserExchange.objects.update(exchange=row)
    else:
        user = get_user_model().objects.create(username="other")
        UserExchange.objects.create(user=user, exchange=row, passphrase_env=account.api_key_env)
    report = checked(chosen)
    assert results(report) == WELL | {"environment": "FAIL"}
    says = {
        "inactive": "main is inactive",
        "elsewhere": "main is an account at another exchange",
        "a secret": "holds a secret of an account",
    }
    assert says[how] in lines(step_of(report, "environment"))


def test_who_looks_is_not_told_what_the_chosen_account_of_another_names(
    chosen, redis, short_timeouts, monkeypatch
):
    monkeypatch.setenv("COINBASE_KEY", "geheim")
    ada = get_user_model().objects.create_user("ada")
    report = ExchangeCheck(redis, chosen, seconds=0.1, user=ada).run()
    assert failures(report) == ["environment"]
    text = lines(step_of(report, "environment"))
    assert "the account chosen for it, of somebody else, gives no key" in text
    assert not re.search("main|COINBASE|geheim", text)


def test_variables_that_are_set_are_named_and_nothing_else(sandbox, row, checked, monkeypatch):
    retired = add_account(row, key="BINANCE_OLD")
    UserExchange.objects.filter(pk=retired.pk).update(is_active=False, display_name="old")
    add_account(row, key="BINANCE_KEY")
    monkeypatch.setenv("BINANCE_KEY", "geheim")
    report = checked(row)
    assert results(report) == WELL | {"environment": "PASS"}
    assert step_of(report, "environment").detail == "set: BINANCE_KEY"
    assert "geheim" not in str(report.as_json())


def test_a_person_is_told_of_accounts_of_others_without_their_names(row, redis, short_timeouts):
    add_account(row, key="BINANCE_THEIRS")
    ada = get_user_model().objects.create_user("ada")
    report = ExchangeCheck(redis, row, seconds=0.1, user=ada).run()
    assert results(report) == WELL
    text = step_of(report, "environment").detail
    assert "1 account of others: 1 variable is not set" in text
    assert not re.search("main|BINANCE", text)
    mine = UserExchange.objects.create(user=ada, exchange=row, display_name="mine")
    UserExchange.objects.filter(pk=mine.pk).update(api_key_env="BINANCE_MINE")
    report = ExchangeCheck(redis, row, seconds=0.1, user=ada).run()
    assert failures(report) == ["environment"]
    assert "account mine: BINANCE_MINE is not set; 1 account of" in lines(
        step_of(report, "environment")
    )


def test_what_stands_where_a_name_should_is_not_repeated(row, checked):
    add_account(row, key="sk-live-geheim")
    report = checked(row)
    assert "its key variable has no name" in lines(step_of(report, "environment"))
    assert "geheim" not in str(report.as_json())
