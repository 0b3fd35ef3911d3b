"""Keys of an exchange, read from the environment when they are needed and kept nowhere else."""

import os
from dataclasses import dataclass, field

from django.views.decorators.debug import sensitive_variables

from exchanges.models import Exchange


@dataclass(frozen=True, slots=True)
class Credentials:
    """A key and its secret, which never show in a representation, and the variables of both."""

    key: str = field(repr=False)
    secret: str = field(repr=False)
    variables: tuple[str, str] = field(default=("", ""), compare=False)


@sensitive_variables()
def find_credentials(exchange: Exchange) -> Credentials | None:
    """Return the keys of the first active account at `exchange` whose variables are set.

    Default accounts come first, then the oldest. None where there is no such account.
    """
    accounts = exchange.user_exchanges.filter(is_active=True)
    for account in accounts.order_by("-is_default", "created_at", "pk"):
        variables = account.api_key_env, account.api_secret_env
        key, secret = map(os.environ.get, variables)
        if key and secret:
            return Credentials(key, secret, variables)
    return None
