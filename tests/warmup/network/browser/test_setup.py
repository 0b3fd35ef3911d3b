"""The setup, as a person uses it."""

import pytest
from selenium.webdriver.common.keys import Keys

from exchanges.models import Exchange, UserExchange

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_new_default_is_shown_at_once_and_the_old_one_is_none_any_more(page, two_accounts):
    main, spare = two_accounts
    page.open()
    assert "default" in page.text(f"[data-account='{main.pk}']")
    page.click("[data-button=setup]")
    page.wait_for("dialog[open]", "Setup: Sandbox")
    page.click("dialog[open] [aria-label='Change Spare']")
    page.wait_for("dialog[open] h3", "Change Spare")
    page.click("dialog[open] [name=is_default]")
    page.click("dialog[open] button.primary")
    page.wait_for(f"[data-account='{spare.pk}']", "default")
    assert "default" not in page.text(f"[data-account='{main.pk}']")
    assert page.is_the_same


def test_what_is_wrong_in_the_setup_stands_next_to_its_field(page):
    page.open()
    page.click("[data-button=setup]")
    page.wait_for("dialog[open]", "New account")
    page.type("dialog[open] [name=display_name]", "Main")
    page.type("dialog[open] [name=api_key_env]", "PATH")
    page.click("dialog[open] button.primary")
    page.wait_for(".field:has([name=api_key_env]) .errorlist", "BINANCE_")
    assert not page.count(".field:has([name=display_name]) .errorlist")
    assert not UserExchange.objects.exists()


def test_a_default_is_made_in_one_click_in_the_panel_and_in_the_dialog(page, two_accounts):
    main, spare = two_accounts
    page.open()
    page.click(f"[data-account='{spare.pk}'] form button")
    page.wait_for("#toasts", "Spare is your default now.")
    page.wait_for(f"[data-account='{spare.pk}']", "default")
    assert not page.count("dialog[open]")
    # Rows that scripts drew work as those of the server do.
    page.click(f"[data-account='{main.pk}'] form button")
    page.wait_for("#toasts", "Main is your default now.")
    page.click("[data-button=setup]")
    page.wait_for("dialog[open]", "Your default is offered first")
    page.one("dialog[open] button[aria-label='Make Spare the default']").send_keys(Keys.ENTER)
    page.wait(lambda: page.count("dialog[open] button[aria-label='Make Main the default']"))
    assert UserExchange.objects.get(is_default=True) == spare
    assert page.is_the_same


@pytest.mark.parametrize("width", [400, 1200])
def test_an_account_is_deleted_by_keyboard_after_a_question(page, row, two_accounts, width):
    main, spare = two_accounts
    page.be_wide(width)
    page.open()
    page.one(f"[data-account='{main.pk}'] a[data-to='delete/']").send_keys(Keys.ENTER)
    page.wait_for("dialog[open]", "Delete Main at")
    assert page.js("return document.activeElement.textContent") == "Keep it"
    page.one("dialog[open] button.danger").send_keys(Keys.ENTER)
    page.wait_for("#toasts", "Main was deleted.")
    page.wait(lambda: not page.count(f"[data-account='{main.pk}']"))
    page.wait_for(f"[data-account='{spare.pk}']", "default")
    assert page.js("return document.documentElement.scrollWidth") <= width
    Exchange.objects.filter(pk=row.pk).update(account=spare)
    page.click(f"[data-account='{spare.pk}'] a[data-to='delete/']")
    page.wait_for("dialog[open]", "The key of Spare is used by sandbox, so it is not deleted.")
    assert not page.count("dialog[open] button.danger")
    assert page.js("return document.documentElement.scrollWidth") <= width
    assert page.is_the_same


def test_the_rule_of_names_is_said_before_and_what_was_typed_stays(page):
    page.open()
    page.click("[data-button=setup]")
    page.wait_for("dialog[open]", "The names of variables begin with BINANCE_…")
    page.type("dialog[open] [name=display_name]", "Main")
    page.type("dialog[open] [name=api_key_env]", "MY_KEY")
    page.type("dialog[open] [name=api_secret_env]", "BINANCE_SECRET")
    page.click("dialog[open] button.primary")
    page.wait_for(".field:has([name=api_key_env]) .errorlist", "BINANCE_")
    values = page.js(
        "return [...document.querySelectorAll('dialog[open] .field input')].map(each => each.value)"
    )
    assert values[:3] == ["Main", "MY_KEY", "BINANCE_SECRET"]
