"""The page's addresses, and what is sent to them."""

from django.urls import reverse

from exchanges.accounts import save_account
from exchanges.models import Exchange, UserExchange

RUNNING, STOPPED = Exchange.Wanted.RUNNING, Exchange.Wanted.STOPPED
JSON = "application/json"
ACTIONS = [
    *("connect", "stop", "warmup", "repair", "add-symbols", "remove-symbols", "check"),
]
SECRET = "kEyqW8XhUvN2s7Yz4LrT0mBpD1cJaG6f"


def url(name, row=None, *arguments):
    return reverse(f"network:{name}", args=[row.pk, *arguments] if row else arguments)


def wanted(row):
    row.refresh_from_db()
    return row.wanted


def account_form(**values):
    return {"display_name": "Main", "is_active": "on", **values}


def add_account(user, row, name, **values):
    return save_account(UserExchange(user=user, exchange=row, display_name=name, **values))


def default_of(user):
    return user.user_exchanges.get(is_default=True).display_name
