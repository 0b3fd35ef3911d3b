"""Keys of an exchange, read from the environment when they are needed and kept nowhere else.

An exchange uses the key of the account that its row names, and of no other: who may change the
exchange chose that one. What was checked when it was saved is checked again here: the row may have
been written by something else since, and so may those of other accounts.
"""

import logging
import os
from dataclasses import dataclass

from django.views.decorators.debug import sensitive_variables

from exchanges.errors import BadCredentials
from exchanges.models import Exchange, UserExchange
from exchanges.rest.key import Credentials, Key, KeyInUse
from exchanges.rest.pacing.host import host_of
from exchanges.venues import VENUES

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Choice:
    """What came of the account that was chosen for an exchange.

    None of both where none is chosen; `trouble` says in a line why the chosen one gives no key.
    """

    account: UserExchange | None = None
    credentials: Credentials | None = None
    trouble: str = ""


def find_credentials(exchange: Exchange) -> Credentials | None:
    """Return the keys of the account that is chosen for `exchange`, None where it gives none."""
    return find_choice(exchange).credentials


@sensitive_variables()
def find_choice(exchange: Exchange) -> Choice:
    """Return what the account gives that the exchange's row names now."""
    account = UserExchange.objects.filter(used_by=exchange.pk).first()
    if account is None:
        return Choice()
    if fault := account.why_not_used(exchange):
        return Choice(account, trouble=f"the account chosen for it gives no key: {fault}")
    variables = account.api_key_env, account.api_secret_env
    if not all(variables):
        return Choice(account, trouble=f"{account}, chosen for it, names no key and secret")
    key, secret = (os.environ.get(name, "") for name in variables)
    unset = [name for name, value in zip(variables, (key, secret), strict=True) if not value]
    if unset:
        return Choice(account, trouble=f"{' and '.join(unset)} of {account} not set")
    return Choice(account, Credentials(key, secret, variables))


def key_of(exchange: Exchange) -> tuple[Key | None, str]:
    """Return the key by which calls are signed, and why there is none although one was chosen."""
    credentials, venue = find_credentials(exchange), VENUES.get(exchange.venue)
    if credentials is None or venue is None or venue.load_key is None:
        return None, find_choice(exchange).trouble
    try:
        return venue.load_key(credentials, host_of(exchange.rest_url)), ""
    except BadCredentials as error:
        return None, str(error)


def key_in_use(exchange: Exchange) -> KeyInUse:
    """Return the key by which this process signs for an exchange, brought up to date.

    Who runs an exchange calls this now and then: all clients that are open take what was chosen
    since, or nothing more where that account may not be used any more.
    """
    used = _IN_USE.setdefault(exchange.pk, KeyInUse())
    used.key, trouble = key_of(exchange)
    if trouble and _TROUBLES.get(exchange.pk) != trouble:
        logger.warning("key.not_used exchange=%s reason=%s", exchange.name, trouble)
    _TROUBLES[exchange.pk] = trouble
    return used


_IN_USE: dict[int, KeyInUse] = {}
_TROUBLES: dict[int, str] = {}  # what was said last of an exchange's key
