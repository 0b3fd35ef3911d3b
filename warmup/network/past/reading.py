"""The past of an exchange as its page shows it, read from the database."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from django.db.models import Q

from exchanges.models import Episode, Exchange
from exchanges.models import EpisodeKind as Kind
from warmup.network.past.days import (
    DAY,
    DAYS,
    GLYPHS,
    TITLES,
    WORDS,
    Strip,
    breaks_in_words,
    days,
    deaths_in_words,
    duration,
    end_of,
    midnight,
    note_of,
    strip,
    text_of,
)

MOST_ROWS = 500  # of the list of a day


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the list. `ended_at` None: it goes on, as far as anybody knows."""

    kind: str
    tone: str
    glyph: str
    text: str
    note: str
    began_at: datetime
    ended_at: datetime | None
    lasted: str

    @classmethod
    def of(cls, episode: Episode, now: datetime) -> "Entry":
        """Return an episode as a line."""
        seconds = (end_of(episode, now) - episode.began_at).total_seconds()
        return cls(
            TITLES[Kind(episode.kind)],
            episode.tone,
            GLYPHS[episode.tone],
            text_of(episode),
            note_of(episode, now),
            episode.began_at,
            episode.ended_at,
            duration(seconds),
        )

    def as_json(self) -> dict[str, Any]:
        """Return it as an object."""
        ended_at = self.ended_at.isoformat(timespec="seconds") if self.ended_at else None
        return {
            "kind": self.kind,
            "tone": self.tone,
            "text": self.text,
            "note": self.note,
            "beganAt": self.began_at.isoformat(timespec="seconds"),
            "endedAt": ended_at,
        }


@dataclass(frozen=True, slots=True)
class Past:
    """Thirty days of an exchange, and one of them, or the last 24 hours, as a list."""

    days: list[Strip]
    chosen: Strip
    day: date | None
    entries: list[Entry]
    is_cut: bool
    breaks: list[str]  # what broke last in the time that is chosen, a line each

    @property
    def legend(self) -> list[tuple[str, str, str]]:
        """Return every tone with its sign and what it means."""
        return [(tone, GLYPHS[tone], words) for tone, words in WORDS.items()]

    def as_json(self) -> dict[str, Any]:
        """Return it as an object."""
        return {
            "from": self.chosen.start.isoformat(timespec="seconds"),
            "until": self.chosen.end.isoformat(timespec="seconds"),
            "summary": self.chosen.summary,
            "breaks": self.breaks,
            "episodes": [entry.as_json() for entry in self.entries],
            "isCut": self.is_cut,
        }


def read_past(exchange: Exchange, now: datetime, day: date | None = None) -> Past:
    """Return the past of an exchange; `day` None chooses the last 24 hours."""
    since = midnight(now.date()) - DAYS * DAY
    of_exchange = exchange.episodes.filter(Q(ended_at=None) | Q(ended_at__gte=since))
    states = list(of_exchange.filter(kind=Kind.STATE).order_by("began_at", "pk"))
    start = midnight(day) if day else now - DAY
    chosen = strip(states, start, start + DAY, now)
    found = of_exchange.filter(  # the newest, one more than are listed
        Q(ended_at=None) | Q(ended_at__gte=start), began_at__lt=start + DAY
    ).order_by("-began_at", "-pk")[: MOST_ROWS + 1]
    breaks = breaks_in_words(chosen) + deaths_in_words(found, chosen)
    entries = [Entry.of(each, now) for each in found[:MOST_ROWS]]
    return Past(days(states, now), chosen, day, entries, len(found) > MOST_ROWS, breaks)


def day_of(text: str, now: datetime) -> date | None:
    """Return the day that an address names, None for none. Raises ValueError for what is none."""
    if not text:
        return None
    day = date.fromisoformat(text)
    if not now.astimezone(UTC).date() - DAYS * DAY < day <= now.astimezone(UTC).date():
        raise ValueError(f"{day} is not one of the last {DAYS} days")
    return day
