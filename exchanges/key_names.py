"""Which environment variables an account may name, and as what: by the venue, and beside others.

A variable belongs to a venue by how its name begins, so that no account of one exchange points at
the keys of another. What serves as somebody's secret is nobody's key: a key is sent in clear.
No message repeats what stands where a name should.
"""

from collections.abc import Iterable
from typing import Protocol

from django.conf import settings
from django.core.exceptions import ValidationError

from exchanges.validators import validate_env_shape
from exchanges.venues import VENUES

KEY = "api_key_env"
SECRETS = ("api_secret_env", "passphrase_env")
FIELDS = (KEY, *SECRETS)
OUR_SETTINGS = ("LIVERMORE_KEY_ENV_PREFIXES", "LIVERMORE_KEY_PREFIX", "LIVERMORE_KEY_TAGS")
OURS, OUR_KEYS = "LIVERMORE_", "LIVERMORE_KEY_"

NO_KEY = (
    "This variable holds a secret of an account, so it can't be named as a key: a key is sent in "
    "clear. Name the one that holds the key."
)
A_KEY = (
    "This variable is named as the key of an account, so it can't be named as a secret: the key "
    "could be used no more. Name the one that holds the secret."
)


class VariableNames(Protocol):
    """The names of variables that an account holds, empty where it has none."""

    api_key_env: str
    api_secret_env: str
    passphrase_env: str


def validate_env_name(name: str, venue: str = "") -> None:
    """Refuse anything but the name of a variable that an account at a venue may name.

    Without a venue only those are allowed that go for any. What is refused is not repeated.
    """
    validate_env_shape(name)
    prefixes = key_prefixes(venue)
    if not name.startswith(prefixes) or (venue and owner_of(name) not in (venue, "")):
        raise ValidationError(
            f"The variable's name must begin with {' or '.join(prefixes) or '(nothing allowed)'}. "
            "Rename it, or add its prefix to LIVERMORE_KEY_ENV_PREFIXES."
        )
    if name in OUR_SETTINGS or (name.startswith(OURS) and not name.startswith(OUR_KEYS)):
        raise ValidationError("This is a setting of Livermore's own, and no key of an exchange.")


def key_prefixes(venue: str = "") -> tuple[str, ...]:
    """Return how a variable's name may begin: as the venue's do, and as the setting lets any."""
    own = [VENUES[venue].key_prefix] if venue in VENUES else []
    others = _prefixes_of_others(venue)
    more = [each for each in settings.LIVERMORE_KEY_ENV_PREFIXES if each]
    return tuple(dict.fromkeys(own + [each for each in more if not each.startswith(others)]))


def owner_of(name: str) -> str:
    """Return the venue whose a name is, "" for none: of two that begin so, the longer one's."""
    owners = [each for each in VENUES.values() if name.startswith(each.key_prefix)]
    return max(owners, key=lambda each: len(each.key_prefix)).name if owners else ""


def _prefixes_of_others(venue: str) -> tuple[str, ...]:
    others = (each for each in VENUES.values() if venue and each.name != venue)
    return tuple(each.key_prefix for each in others)


def why_not(name: str, venue: str) -> str:
    """Return why an account at this venue may not name a variable, empty where it may."""
    try:
        validate_env_name(name, venue)
    except ValidationError as error:
        return " ".join(error.messages)
    return ""


def faults_in(names: VariableNames, venue: str, others: Iterable[VariableNames]) -> dict[str, str]:
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


def _named(fields: Iterable[str], accounts: Iterable[VariableNames]) -> set[str]:
    found = {_plain(getattr(account, field)) for account in accounts for field in fields}
    return found - {""}


def _plain(name: str) -> str:
    """Return a name as it is compared: rows that nobody checked may hold it with blanks around."""
    return name.strip().upper()
