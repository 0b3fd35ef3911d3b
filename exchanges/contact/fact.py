"""Something of a protocol that nobody has seen: the question, what we assume, and who asks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # who only says what is unsure connects to nothing
    from exchanges.contact.contact import Contact


@dataclass(frozen=True, slots=True)
class Answer:
    """What was seen. `text` is a line for a person; `seen` holds what it stands on, as JSON.

    `as_assumed`: what was seen is what the code takes for true; None where it decides nothing,
    as where the market did not do in that time what was to be looked at.
    """

    text: str
    as_assumed: bool | None
    seen: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UnsureFact:
    """A question to an exchange: `name` is one word, unique at its venue, with underscores.

    `assumed` is what the code takes for true until it is seen: the side on which no hole can stay
    unknown. `ask` is given an open `Contact`, sends as little as answers the question, and may
    raise what REST and streams raise.
    """

    name: str
    question: str
    assumed: str
    ask: Callable[["Contact"], Answer]
