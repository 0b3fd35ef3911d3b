"""The first two steps: the exchange's row, and the variables that its accounts name."""

import os
from collections.abc import Collection

from django.core.exceptions import ValidationError

from exchanges.credentials import find_choice, key_of
from exchanges.errors import Misconfigured
from exchanges.key_names import validate_env_name
from exchanges.models import Exchange, UserExchange
from exchanges.transport.proxies import read_proxy, unused_variables
from warmup.harness.facts import Facts
from warmup.harness.report import Failed, Outcome, Result
from warmup.human_readable import count

VARIABLES = {"key": "api_key_env", "secret": "api_secret_env", "passphrase": "passphrase_env"}


def check_row(facts: Facts) -> Outcome:
    """Read the row anew, and hold it to the rules that the admin holds it to."""
    row = Exchange.objects.filter(pk=facts.exchange.pk).first()
    if row is None:
        raise Failed(
            "its row is gone from the database", "add the exchange again in the admin", ["row"]
        )
    facts.exchange = row
    if not row.is_active:
        raise Failed(
            "it is switched off", "activate it in the admin: nothing is sent to it before", ["row"]
        )
    try:
        # What it is called stops nothing; the next step looks at the account.
        row.account = None
        row.clean_fields(exclude=["name", "display_name"])
        row.clean()
    except ValidationError as error:
        faults = [f"{name}: {text}" for name, texts in error.message_dict.items() for text in texts]
        remedy = f"correct the row {row.name} in the admin"
        raise Failed(" ".join(faults), remedy, ["row"]) from error
    text = f"{row.rest_url} and {row.ws_url}, venue {row.venue}, pacing {row.pacing}"
    return Outcome(text + _proxy(row), None if row.proxy else _note_on_proxies())


def _proxy(row: Exchange) -> str:
    """Return what is said of the row's proxy. Raises Failed where it can't be used."""
    if not row.proxy:
        return ""
    try:
        proxy = read_proxy(row.proxy)
    except Misconfigured as error:
        raise Failed(error.fault, error.remedy, ["row"]) from error
    named = "" if row.proxy == str(proxy) else f", as {row.proxy} says"
    return f", by the proxy {proxy}{named}"


def _note_on_proxies() -> str | None:
    names = unused_variables()
    if not names:
        return None
    return f"{' and '.join(names)} set, and not used: a proxy that is meant goes into the row"


def check_environment(facts: Facts) -> Outcome:
    """Look whether this process has each variable, and tell nothing of what is in it.

    Where a user looks, accounts of others are counted: they are not that user's to know or fix.
    """
    accounts = facts.exchange.user_exchanges.filter(is_active=True).order_by("pk")
    others = accounts.exclude(user=facts.user) if facts.user else ()
    if facts.user:
        accounts = accounts.filter(user=facts.user)
    note = _note_on(others)
    faults = [fault for account in accounts for fault in _faults_of(account)]
    if faults := faults or _faults_of_choice(facts):
        raise Failed(
            "; ".join(faults) + note,
            "set it in the environment of this command and of whatever runs the exchange, or clear "
            "the name in the account: public candles need no key",
        )
    names = {name for account in accounts for name in account.environment()}
    advice = _advice_to_choose(facts)
    if not names:
        whose = "no active account of yours" if facts.user else "no active account"
        text = f"{whose} names a variable: public candles need none"
        return Outcome(text + note, advice, Result.SKIP)
    return Outcome(f"set: {', '.join(sorted(names))}{_used(facts)}{note}", advice)


def _faults_of_choice(facts: Facts) -> list[str]:
    """Return why the account that was chosen gives no key, in at most one line."""
    _, trouble = key_of(facts.exchange)
    account = find_choice(facts.exchange).account
    if trouble and facts.user and account.user_id != facts.user.pk:
        return ["the account chosen for it, of somebody else, gives no key that can be used"]
    return [trouble] if trouble else []


def _used(facts: Facts) -> str:
    """Return whose key is used, nothing where none is chosen."""
    key, _ = key_of(facts.exchange)
    return f"; it signs with the key in {key.variables[0]}" if key else ""


def _advice_to_choose(facts: Facts) -> str | None:
    """Return what to do where accounts have keys, and none of them is chosen."""
    accounts = facts.exchange.user_exchanges.filter(is_active=True)
    found = accounts.exclude(api_key_env="").count()
    if not found or find_choice(facts.exchange).account:
        return None
    name = "names" if found == 1 else "name"
    return (
        f"{count(found, 'active account')} {name} a key and none is chosen, so none is used: "
        "choose the account in the row, in the admin, or leave it, as public candles need none"
    )


def _note_on(others: Collection[UserExchange]) -> str:
    """Return how accounts of others fare, without a name; nothing where there are none."""
    if not others:
        return ""
    unset = sum(len(_faults_of(account)) for account in others)
    found = f"{count(unset, 'variable')} {'is' if unset == 1 else 'are'} not set"
    return f"; {count(len(others), 'account')} of others: {found if unset else 'all is set'}"


def _faults_of(account: UserExchange) -> list[str]:
    found = []
    for what, field in VARIABLES.items():
        name = getattr(account, field)
        if not name:
            continue
        try:
            validate_env_name(name, account.exchange.venue)
        except ValidationError:  # not repeated: it may be the secret itself
            found.append(f"account {account}: its {what} variable has no name that is allowed")
            continue
        value = os.environ.get(name, "")  # looked at, and never shown
        if not value.strip():
            found.append(f"account {account}: {name} is {'empty' if value else 'not set'}")
        elif what == "key" and value != value.strip():
            found.append(f"account {account}: {name} begins or ends with a blank")
    return found
