"""Keys of an exchange, read from the environment when they are needed and kept nowhere else.

An exchange uses the key of the account that its row names, and of no other: who may change the
exchange chose that one. What was checked when it was saved is checked again here: the row may have
been written by something else since, and so may those of other accounts.
"""

import os
from dataclasses import dataclass, field

from django.views.decorators.debug import sensitive_variables

from exchanges.models import Exchange, UserExchange


@dataclass(frozen=True, slots=True)
class Credentials:
    """A key and its secret, which never show in a representation, and the variables of both."""

    key: str = field(repr=False)
    secret: str = field(repr=False)
    variables: tuple[str, str] = field(default=("", ""), compare=False)


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
