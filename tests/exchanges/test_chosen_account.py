"""Whose key an exchange uses: chosen in the admin, and led nowhere else by anybody."""

import re

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse

from exchanges.accounts import deactivate, save_account
from exchanges.forms import AccountChoice, ExchangeForm
from exchanges.models import Exchange, UserExchange

pytestmark = pytest.mark.django_db


@pytest.fixture
def coinbase():
    return Exchange.objects.get(name="coinbase")


@pytest.fixture
def exchange():
    return Exchange.objects.get(name="sandbox")


@pytest.fixture
def post(admin_client):
    """Send a form and return the page one is led to."""

    def post(name, /, *args, **data):
        url = reverse(f"admin:exchanges_{name}", args=args)
        return admin_client.post(url, data, follow=True).content.decode()

    return post


@pytest.fixture
def staff(django_user_model):
    """Return a maker of browsers, each of one of the staff with these permissions."""

    def staff(name, *permissions):
        user = django_user_model.objects.create_user(name, is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        browser = Client()
        browser.force_login(user)
        return browser

    return staff


def account_form(user, exchange, **values):
    form = {"user": user.pk, "exchange": exchange.pk, "display_name": "Main", "is_active": "on"}
    return form | values


def exchange_form(row, **values):
    form = {name: getattr(row, name) for name in EXCHANGE_FIELDS}
    return form | {"is_active": "on", "account": row.account_id or ""} | NO_SYMBOLS | values


EXCHANGE_FIELDS = (
    *("name", "display_name", "wanted", "venue", "rest_url", "ws_url", "proxy", "pacing"),
    *("batch_size", "batch_delay_ms"),
)
NO_SYMBOLS = {"symbols-TOTAL_FORMS": 0, "symbols-INITIAL_FORMS": 0}


def add_key(user, row, name="Main", **values):
    names = {"api_key_env": "COINBASE_KEY", "api_secret_env": "COINBASE_SECRET"}
    return save_account(UserExchange(user=user, exchange=row, display_name=name, **names | values))


def choose(row, account):
    Exchange.objects.filter(pk=row.pk).update(account=account)


def chosen(row):
    return Exchange.objects.get(pk=row.pk).account


def change(browser, row, **values):
    url = reverse("admin:exchanges_exchange_change", args=[row.pk])
    return browser.post(url, exchange_form(row, **values), follow=True).content.decode()


def test_who_may_change_an_exchange_chooses_whose_key_it_uses(staff, coinbase, admin_user):
    account = add_key(admin_user, coinbase)
    text = change(staff("ada", "change_exchange", "view_exchange"), coinbase, account=account.pk)
    assert "It uses the key of Main: COINBASE_KEY and COINBASE_SECRET." in text
    assert chosen(coinbase) == account
    entry = LogEntry.objects.get()
    assert entry.get_change_message() == "Changed Account."


@pytest.mark.parametrize("permissions", [(), ("view_exchange",), ("operate_exchange",)])
def test_nobody_else_does(staff, coinbase, admin_user, permissions):
    account = add_key(admin_user, coinbase)
    change(staff("ada", *permissions, "change_userexchange"), coinbase, account=account.pk)
    assert chosen(coinbase) is None


def test_who_may_only_look_sees_which_account_it_is(staff, coinbase, admin_user):
    choose(coinbase, add_key(admin_user, coinbase))
    url = reverse("admin:exchanges_exchange_change", args=[coinbase.pk])
    assert "Main" in staff("ada", "view_exchange").get(url).content.decode()


def test_the_active_accounts_of_this_exchange_are_offered_defaults_first(
    coinbase, exchange, admin_user, admin_client
):
    add_key(admin_user, exchange, "Elsewhere", api_key_env="", api_secret_env="")
    add_key(admin_user, coinbase, "Asleep", is_active=False)
    add_key(admin_user, coinbase, "Aardvark")
    add_key(admin_user, coinbase, "Zebra", is_default=True)
    url = reverse("admin:exchanges_exchange_change", args=[coinbase.pk])
    page = admin_client.get(url).content.decode()
    offered = re.findall(r">([^<]* of admin[^<]*)</option>", page)
    assert offered == [
        "Zebra of admin, the default (COINBASE_KEY, COINBASE_SECRET)",
        "Aardvark of admin (COINBASE_KEY, COINBASE_SECRET)",
    ]


@pytest.mark.parametrize("which", ["elsewhere", "inactive", "a secret", "gone"])
def test_an_account_that_may_not_be_used_is_not_chosen(
    admin_client, coinbase, exchange, admin_user, which
):
    other = exchange if which == "elsewhere" else coinbase
    account = add_key(admin_user, other, is_active=which != "inactive")
    if which == "a secret":
        UserExchange.objects.create(
            user=admin_user, exchange=exchange, passphrase_env="COINBASE_KEY", display_name="B"
        )
    number = account.pk + 100 if which == "gone" else account.pk
    text = change(admin_client, coinbase, account=number)
    assert ("holds a secret" if which == "a secret" else "Select a valid choice") in text
    assert chosen(coinbase) is None


@pytest.mark.parametrize("which", ["elsewhere", "inactive", "a name of another venue"])
def test_the_row_itself_refuses_such_an_account(coinbase, exchange, admin_user, which):
    account = add_key(
        admin_user,
        exchange if which == "elsewhere" else coinbase,
        is_active=which != "inactive",
        api_key_env="BINANCE_KEY" if which.startswith("a name") else "COINBASE_KEY",
    )
    coinbase.account = account
    with pytest.raises(ValidationError) as refusal:
        coinbase.full_clean()
    assert list(refusal.value.message_dict) == ["account"]


def test_a_choice_that_was_changed_since_it_was_shown_is_shown_again(
    admin_client, coinbase, admin_user
):
    account = add_key(admin_user, coinbase)
    seen = seen_in(page_of(admin_client, coinbase))
    account.api_key_env = "COINBASE_OTHER"
    save_account(account)
    text = change(admin_client, coinbase, account=account.pk, account_seen=seen)
    assert "Main was changed since this page was opened" in text
    assert chosen(coinbase) is None
    change(admin_client, coinbase, account=account.pk, account_seen=seen_in(text))
    assert chosen(coinbase) == account


def page_of(browser, row):
    return browser.get(reverse("admin:exchanges_exchange_change", args=[row.pk])).content.decode()


def seen_in(page):
    return re.search(r'name="account_seen" value="([^"]+)"', page)[1]


def lead_elsewhere(account, variable="COINBASE_OTHER"):
    """Change which variable an account names, as its owner may."""
    account = UserExchange.objects.get(pk=account.pk)
    account.api_key_env = variable
    save_account(account)


def let_go_and_lead_elsewhere(account):
    """Do so although an exchange uses it: deactivated in between, it is used no more."""
    deactivate(account)
    lead_elsewhere(account)
    account.refresh_from_db()
    account.is_active = True
    save_account(account)


def test_what_changes_while_the_page_is_made_is_not_chosen(
    admin_client, coinbase, admin_user, monkeypatch
):
    account = add_key(admin_user, coinbase)
    label = AccountChoice.label_from_instance

    def label_then_change(self, shown):
        text = label(self, shown)
        lead_elsewhere(account)
        return text

    with monkeypatch.context() as patched:
        patched.setattr(AccountChoice, "label_from_instance", label_then_change)
        page = page_of(admin_client, coinbase)
    assert "(COINBASE_KEY, COINBASE_SECRET)" in page
    text = change(admin_client, coinbase, account=account.pk, account_seen=seen_in(page))
    assert "Main was changed since this page was opened" in text
    assert chosen(coinbase) is None


@pytest.mark.parametrize("was_used", [False, True])
@pytest.mark.parametrize("says", [False, True])
def test_what_changes_after_the_form_was_checked_is_not_chosen(
    admin_client, coinbase, admin_user, monkeypatch, says, was_used
):
    account = add_key(admin_user, coinbase)
    if was_used:
        choose(coinbase, account)
    seen = {"account_seen": seen_in(page_of(admin_client, coinbase))} if says else {}
    check = ExchangeForm.full_clean

    def check_then_change(self):
        check(self)
        let_go_and_lead_elsewhere(account)

    monkeypatch.setattr(ExchangeForm, "full_clean", check_then_change)
    text = change(admin_client, coinbase, account=account.pk, **seen)
    assert "Main was changed since this page was opened" in text
    # Refused, the request's transaction is rolled back, here with what the test did inside it.
    assert chosen(coinbase) is None or chosen(coinbase).api_key_env == "COINBASE_KEY"


def test_an_account_that_the_page_did_not_show_is_not_chosen(admin_client, coinbase, admin_user):
    add_key(admin_user, coinbase)
    seen = seen_in(page_of(admin_client, coinbase))
    other = add_key(admin_user, coinbase, "Other")
    text = change(admin_client, coinbase, account=other.pk, account_seen=seen)
    assert "Other was changed since this page was opened" in text
    assert chosen(coinbase) is None


def test_what_is_changed_there_and_back_is_what_was_shown(admin_client, coinbase, admin_user):
    account = add_key(admin_user, coinbase)
    seen = seen_in(page_of(admin_client, coinbase))
    lead_elsewhere(account)
    lead_elsewhere(account, "COINBASE_KEY")
    change(admin_client, coinbase, account=account.pk, account_seen=seen)
    assert chosen(coinbase) == account


@pytest.mark.parametrize("seen", ["x", "2999-01-01T00:00:00+00:00", "e30:1:x", ".", "bnVsbA"])
def test_nobody_makes_up_what_was_shown(admin_client, coinbase, admin_user, seen):
    account = add_key(admin_user, coinbase)
    text = change(admin_client, coinbase, account=account.pk, account_seen=seen)
    assert "choose again" in text
    assert chosen(coinbase) is None


def test_a_choice_is_kept_with_other_changes_however_old_the_page(
    admin_client, coinbase, admin_user
):
    account = add_key(admin_user, coinbase)
    seen = seen_in(page_of(admin_client, coinbase))
    choose(coinbase, account)
    coinbase.refresh_from_db()
    change(admin_client, coinbase, account_seen=seen, display_name="Renamed")
    assert (Exchange.objects.get(pk=coinbase.pk).display_name, chosen(coinbase)) == (
        "Renamed", account,
    )  # fmt: skip


REDIRECTIONS = {
    "key": lambda other: {"api_key_env": "COINBASE_OTHER"},
    "secret": lambda other: {"api_secret_env": "COINBASE_OTHER"},
    "passphrase": lambda other: {"passphrase_env": "COINBASE_OTHER"},
    "no key": lambda other: {"api_key_env": ""},
    "exchange": lambda other: {"exchange": other, "api_key_env": "", "api_secret_env": ""},
}


@pytest.mark.parametrize("how", REDIRECTIONS)
def test_what_an_exchange_uses_is_not_led_to_another_key(
    staff, coinbase, exchange, admin_user, how
):
    account = add_key(admin_user, coinbase)
    choose(coinbase, account)
    values = account_form(
        admin_user, coinbase, api_key_env="COINBASE_KEY", api_secret_env="COINBASE_SECRET"
    )
    values |= REDIRECTIONS[how](exchange.pk)
    browser = staff("ada", "change_userexchange", "view_userexchange", "view_user")
    url = reverse("admin:exchanges_userexchange_change", args=[account.pk])
    page = browser.post(url, values, follow=True).content.decode()
    assert "The key of Main is used by coinbase, so its variables, exchange and user stay" in page
    account.refresh_from_db()
    assert (account.api_key_env, account.exchange) == ("COINBASE_KEY", coinbase)
    assert chosen(coinbase) == account


def test_another_name_is_no_other_key(post, coinbase, admin_user):
    account = add_key(admin_user, coinbase)
    choose(coinbase, account)
    form = account_form(
        admin_user,
        coinbase,
        display_name="Renamed",
        api_key_env="COINBASE_KEY",
        api_secret_env="COINBASE_SECRET",
    )
    assert "was changed successfully" in post("userexchange_change", account.pk, **form)
    assert chosen(coinbase).display_name == "Renamed"


@pytest.mark.parametrize("way", ["page", "action"])
def test_an_account_in_use_is_not_deleted(post, coinbase, admin_user, way):
    account = add_key(admin_user, coinbase)
    choose(coinbase, account)
    if way == "page":
        text = post("userexchange_delete", account.pk, post="yes")
    else:
        text = post(
            "userexchange_changelist",
            action="delete_selected",
            _selected_action=[account.pk],
            post="yes",
        )
    assert "The key of Main is used by coinbase, so it is not deleted." in text
    assert chosen(coinbase) == account


def test_a_user_who_is_deleted_takes_the_choice_along(coinbase, django_user_model):
    user = django_user_model.objects.create_user("ada")
    choose(coinbase, add_key(user, coinbase))
    user.delete()
    assert chosen(coinbase) is None
