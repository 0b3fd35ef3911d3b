"""The environment variables that hold channels' addresses: their names, and what they hold."""

import os
import re

from django.core.exceptions import ValidationError

PREFIX = "LIVERMORE_NOTIFY_"
NAME = re.compile(rf"{PREFIX}[A-Z0-9_]{{1,46}}")
NO_NAME = (
    f"This is not the name of a variable {PREFIX}…, and was not stored in case it is the "
    f"address itself. Set the address in the environment, and write here {PREFIX} and what "
    "follows: capital letters, digits and _, at most 46."
)


def validate_variable(name: str) -> None:
    """Refuse what is not such a name, without repeating it: it may be the address itself."""
    if not NAME.fullmatch(name):
        raise ValidationError(NO_NAME)


def address_in(name: str) -> str:
    """Return what a variable holds in this process, "" where it is not set."""
    return os.environ.get(name, "").strip() if NAME.fullmatch(name) else ""
