"""Episodes as a page shows them: thirty days as strips, one of them as a list. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

from exchanges.errors import CLIP_OURS, clip
from exchanges.models import Episode
from exchanges.models import EpisodeKind as Kind
from exchanges.models import EpisodeTone as Tone
from warmup.human_readable import count
from warmup.network.past.episodes import SILENT, longest_gap

DAYS = 30
DAY = timedelta(days=1)
NARROWEST = 4.0  # minutes of a strip: what is bad is to be seen however short it was
BREAKS_TOLD = 3
UNITS = ((86_400, "d"), (3600, "h"), (60, "min"))
UNKNOWN = "unknown"  # the tone of what nobody looked at
WORDS = {
    Tone.GOOD: "live",
    Tone.BUSY: "under way",
    Tone.BAD: "not live",
    Tone.OFF: "not wanted",
    UNKNOWN: "nobody looked",
}
GLYPHS = {Tone.GOOD: "✓", Tone.BUSY: "↻", Tone.BAD: "!", Tone.OFF: "‖", UNKNOWN: "?"}
TITLES = {
    Kind.RUN: "Run by",
    Kind.STATE: "State",
    Kind.HOLES: "Holes",
    Kind.STALE: "Stale",
    Kind.PAUSE: "Pause",
    Kind.BAN: "Ban",
}


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of time of one tone; both times aware, the end exclusive."""

    start: datetime
    end: datetime
    tone: str
    text: str

    @property
    def seconds(self) -> float:
        return (self.end - self.start).total_seconds()


@dataclass(frozen=True, slots=True)
class Strip:
    """What an exchange did between two times, without gaps."""

    start: datetime
    end: datetime
    parts: tuple[Part, ...]

    @property
    def breaks(self) -> list[Part]:
        """Return the times in which it should have been live and was not, with all that it said."""
        found: list[Part] = []
        for part in (each for each in self.parts if each.tone == Tone.BAD):
            if found and found[-1].end == part.start:
                before = found.pop()
                part = Part(before.start, part.end, Tone.BAD, f"{before.text}; then {part.text}")
            found.append(part)
        return found

    @property
    def summary(self) -> str:
        """Return in a line how much of it was live, and what broke."""
        sums = {tone: self._seconds(tone) for tone in WORDS}
        said = [
            f"{WORDS[tone]} for {duration(sums[tone])}"
            for tone in (Tone.GOOD, Tone.BUSY, Tone.OFF, UNKNOWN)
            if sums[tone] >= 1
        ]
        if not self.breaks:
            return ", ".join([*said, "no break"]) if sums[Tone.GOOD] else ", ".join(said)
        broke = count(len(self.breaks), "break")
        return ", ".join([*said, f"{broke}, {duration(sums[Tone.BAD])} in all"])

    def bars(self) -> list[tuple[float, float, Part]]:
        """Return each part as it is drawn: from which minute on, how many wide."""
        bars = [
            (
                (part.start - self.start).total_seconds() / 60,
                max(part.seconds / 60, NARROWEST if part.tone == Tone.BAD else 0.0),
                part,
            )
            for part in self.parts
        ]
        return sorted(bars, key=lambda bar: bar[2].tone == Tone.BAD)  # these on top

    def _seconds(self, tone: str) -> float:
        return sum(part.seconds for part in self.parts if part.tone == tone)


def end_of(episode: Episode, now: datetime) -> datetime:
    """Return up to when it is known to have gone on."""
    if episode.ended_at:
        return episode.ended_at
    return now if is_watched(episode, now) else episode.seen_at


def is_watched(episode: Episode, now: datetime) -> bool:
    """Tell whether somebody looks whether it still goes on."""
    # One that takes over has to learn of the death of the one before: that takes ten seconds.
    return now - episode.seen_at <= 2 * longest_gap(episode.kind)


def strip(states: Iterable[Episode], start: datetime, end: datetime, now: datetime) -> Strip:
    """Return what a time was like by the episodes of the state, the oldest first."""
    end = min(end, now)
    parts: list[Part] = []
    at = start
    for episode in states:
        since, until = max(episode.began_at, at), min(end_of(episode, now), end)
        if until <= since:
            continue
        if since > at:
            parts.append(Part(at, since, UNKNOWN, WORDS[UNKNOWN]))
        parts.append(Part(since, until, episode.tone, episode.text))
        at = until
    if at < end:
        parts.append(Part(at, end, UNKNOWN, WORDS[UNKNOWN]))
    return Strip(start, end, tuple(_joined(parts)))


def days(states: Sequence[Episode], now: datetime) -> list[Strip]:
    """Return the last thirty days, by UTC, the newest first."""
    today = midnight(now.date())
    starts = [today - number * DAY for number in range(DAYS)]
    return [strip(states, start, start + DAY, now) for start in starts]


def midnight(day: date) -> datetime:
    """Return when a day begins, by UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def breaks_in_words(found: Strip) -> list[str]:
    """Return the last times in which it was not live, a line each, the newest first."""
    return [
        f"{part.start:%H:%M:%S} to {part.end:%H:%M:%S} UTC, {duration(part.seconds)}: "
        f"{clip(part.text, CLIP_OURS)}"
        for part in reversed(found.breaks[-BREAKS_TOLD:])
    ]


def deaths_in_words(runs: Iterable[Episode], found: Strip) -> list[str]:
    """Return which of the runs ended in a time without a word, a line each."""
    return [
        f"{run.seen_at:%H:%M:%S} UTC: last sign of life of {run.text}, which ended without a word"
        for run in runs
        if run.ending == SILENT and run.ended_at and found.start <= run.ended_at < found.end
    ]


def note_of(episode: Episode, now: datetime) -> str:
    """Return how an episode ended, or that nobody knows whether it goes on; else nothing."""
    seen = f"{episode.seen_at:%Y-%m-%d %H:%M:%S} UTC"
    if episode.ended_at is None:
        return "" if is_watched(episode, now) else f"nobody has looked since {seen}"
    if not episode.ending or episode.kind != Kind.RUN:
        return episode.ending
    return f"{episode.ending}; last seen at {seen}"


def text_of(episode: Episode) -> str:
    """Return what an episode was, for a person."""
    return f"{episode.text}: {episode.count:,} at the most" if episode.count else episode.text


def duration(seconds: float) -> str:
    """Return how long something lasted, in its two largest units."""
    left = int(seconds)
    words: list[str] = []
    for size, unit in UNITS:
        if left >= size and len(words) < 2:
            words.append(f"{left // size} {unit}")
            left %= size
    return " ".join(words) if words else f"{left} s"


def _joined(parts: Sequence[Part]) -> list[Part]:
    """Return parts with neighbours of the same tone and text made one."""
    joined = list(parts[:1])
    for before, part in pairwise(parts):
        if (before.tone, before.text) == (part.tone, part.text):
            joined[-1] = Part(joined[-1].start, part.end, part.tone, part.text)
        else:
            joined.append(part)
    return joined
