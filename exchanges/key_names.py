"""Which environment variables an account may name, and as what: by the venue, and beside others.

A variable belongs to a venue by how its name begins, so that no account of one exchange points at
the keys of another. What serves as somebody's secret is nobody's key: a key is sent in clear.
No message repeats what stands where a name should.
"""

from collections.abc import Iterable
from typing import Protocol

from django.core.exceptions import ValidationError

from exchanges.validators import key_prefixes, validate_env_name

KEY = "api_key_env"
SECRETS = ("api_secret_env", "passphrase_env")
FIELDS = (KEY, *SECRETS)

NO_KEY = (
    "This variable holds a secret of an account, so it can't be named as a key: a key is sent in "
    "clear. Name the one that holds the key."
)
A_KEY = (
    "This variable is named as the key of an account, so it can't be named as a secret: the key "
    "could be used no more. Name the one that holds the secret."
)


class Names(Protocol):
    """The names of variables that an account holds, empty where it has none."""

    api_key_env: str
    api_secret_env: str
    passphrase_env: str


def why_not(name: str, venue: str) -> str:
    """Return why an account at this venue may not name a variable, empty where it may."""
    try:
        validate_env_name(name, venue)
    except ValidationError as error:
        return " ".join(error.messages)
    return ""


def faults_in(names: Names, venue: str, others: Iterable[Names]) -> dict[str, str]:
    """Return by field what is wrong with the names of an account; `others` are all other accounts.

    What has not even the form of a name is left to the field itself when it is saved.
    """
    others = list(others)
    faults = {field: why_not(name, venue) for field in FIELDS if (name := getattr(names, field))}
    secrets = _named(SECRETS, [names, *others])
    keys = _named([KEY], others)
    if not faults.get(KEY) and _plain(names.api_key_env) in secrets:
        faults[KEY] = NO_KEY
    for field in SECRETS:
        if not faults.get(field) and _plain(getattr(names, field)) in keys:
            faults[field] = A_KEY
    return {field: fault for field, fault in faults.items() if fault}


def rule(venue: str) -> str:
    """Return in a sentence which names a venue takes."""
    prefixes = " or ".join(f"{prefix}…" for prefix in key_prefixes(venue))
    return (
        f"The names of variables begin with {prefixes}, in capital letters, digits and _, and "
        "a variable that holds a secret can't be named as a key."
    )


def _named(fields: Iterable[str], accounts: Iterable[Names]) -> set[str]:
    found = {_plain(getattr(account, field)) for account in accounts for field in fields}
    return found - {""}


def _plain(name: str) -> str:
    """Return a name as it is compared: rows that nobody checked may hold it with blanks around."""
    return name.strip().upper()
