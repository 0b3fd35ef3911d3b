"""A key by which calls to an exchange are signed, and the one that a process uses now."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Sign = Callable[[str], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Credentials:
    """A key and its secret, which never show in a representation, and the variables of both."""

    key: str = field(repr=False)
    secret: str = field(repr=False)
    variables: tuple[str, str] = field(default=("", ""), compare=False)


@dataclass(frozen=True, slots=True)
class Key:
    """What proves to an exchange who calls, and which variables hold it: those of key and secret.

    `sign` returns the headers of one GET, of its host and path. `state` is how the exchange took
    the key so far, as the venue remembers that.
    """

    sign: Sign
    variables: tuple[str, str]
    state: Any = None


class KeyInUse:
    """The key by which this process signs for one exchange, None for no key at all.

    All clients of the exchange share it, so that another choice is theirs from the next call on.
    """

    def __init__(self):
        self.key: Key | None = None

    def sign(self, host_and_path: str) -> Mapping[str, str]:
        """Return the headers of one GET, none where there is no key (any more)."""
        key = self.key
        return key.sign(host_and_path) if key else {}


KeyLoader = Callable[[Credentials, str], Key]
