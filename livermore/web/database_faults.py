"""A database that is away, locked or not made yet: how that is known, and said in a line."""

from django.conf import settings
from django.db import Error, InterfaceError, OperationalError, connections

SHORT_SECONDS = 5.0


def is_away(error: BaseException | None) -> bool:
    """Tell whether an error says that the database can't work now, whatever it was asked."""
    return isinstance(error, Error) and fault(error) is not None


def fault(error: Error) -> str | None:
    """Return the line for a person, None where the error is ours to find."""
    text = str(error)
    if "no such table" in text or ('relation "' in text and "does not exist" in text):
        return "The database has no tables yet, or not all: ./run migrate"
    if "unable to open database file" in text:
        name = settings.DATABASES["default"]["NAME"]
        return f"The database {name} can't be opened: ./run migrate makes it if its folder exists"
    away = isinstance(error, OperationalError | InterfaceError)
    if away or "not a database" in text or "is malformed" in text:
        return f"The database does not work: {first_line(error)}. See DATABASE_URL"
    return None


def first_line(error: BaseException) -> str:
    """Return an error's first line, or what it is where it says nothing."""
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")


def wait_briefly() -> None:
    """Let this process wait for SQLite's lock for less long than a single command does.

    Who looks at a page would have gone, and an agent that waits says nothing of itself.
    """
    options = connections.settings["default"].get("OPTIONS", {})
    if "timeout" in options:
        options["timeout"] = SHORT_SECONDS
