"""Episodes as rows: begun, seen and ended by whoever looks after the past of all exchanges."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from django.db import transaction
from django.db.models import Q

from exchanges.models import Episode, Exchange
from exchanges.models import EpisodeKind as Kind
from exchanges.models import EpisodeTone as Tone
from warmup.network.past.facts import Fact, Facts

BETWEEN_SIGNS = timedelta(seconds=10)
# What nobody has seen for so long may have been otherwise meanwhile, and goes on for nobody.
GAP = timedelta(seconds=15)
GAP_OF_MEASURED = timedelta(seconds=90)  # of what is looked at once a minute
HOUR = timedelta(hours=1)
MOST_AN_HOUR = 60  # of a kind: an exchange that changes each second fills no database
UNSTEADY = Fact(Tone.BAD, f"Changed more than {MOST_AN_HOUR} times in an hour: not told one by one")
SILENT = "ended without a word"
UNSEEN = "nobody looked from then on"
HowItEnded = Callable[[Episode], tuple[str, int | None]]


class Episodes:
    """Keeps what goes on in memory, and writes what begins and what ends.

    Raises DatabaseError where that can't be written; then, and while another one writes, call
    `forget`. What goes on is written each 10 seconds, so that a reader knows that it is looked at.
    """

    def __init__(self, only: int | None = None) -> None:
        """`only` is the number of the exchange that it is about, None for all."""
        self._only = only
        self._going_on: dict[tuple[int, str], Episode] | None = None
        self._signed_at: datetime | None = None

    def forget(self) -> None:
        """Read what goes on anew before the next is written."""
        self._going_on = None

    def take_up(self, exchanges: Mapping[int, Exchange], now: datetime) -> None:
        """Learn what goes on, where that is not known; end what nobody has seen for long."""
        if self._going_on is not None:
            return
        found = {}
        goes_on = Q(ended_at=None) if self._only is None else Q(ended_at=None, exchange=self._only)
        for episode in Episode.objects.filter(goes_on):
            is_old = now - episode.seen_at > longest_gap(episode.kind)
            if (is_old and episode.kind != Kind.RUN) or episode.exchange_id not in exchanges:
                self._end(episode, episode.seen_at, UNSEEN)
            else:
                found[episode.exchange_id, episode.kind] = episode
        self._going_on, self._signed_at = found, now

    def note(self, exchange_id: int, facts: Facts, now: datetime, how: HowItEnded) -> None:
        """Take in what is so now.

        `how` says how a run ended, "" where it said nothing, and when it was seen last, in UTC
        epoch ms, None where that is not known better than it was.
        """
        assert self._going_on is not None
        for kind, fact in facts.items():
            episode = self._going_on.get((exchange_id, kind))
            if episode and _is_same(episode, fact, now):
                if fact:
                    episode.seen_at = max(episode.seen_at, _time(fact.seen_at_ms, now))
                    episode.count = max(episode.count, fact.count)
                else:
                    episode.seen_at = now
                continue
            with transaction.atomic():
                if episode:
                    self._finish(episode, now, how)
                if fact:
                    self._going_on[exchange_id, kind] = _begin(exchange_id, kind, fact, now)

    def sign(self, now: datetime) -> None:
        """Write from time to time that what goes on was seen."""
        assert self._going_on is not None
        if self._signed_at is None or now - self._signed_at >= BETWEEN_SIGNS:
            self._signed_at = now
            Episode.objects.bulk_update(self._going_on.values(), ["seen_at", "count"])

    def _finish(self, episode: Episode, now: datetime, how: HowItEnded) -> None:
        assert self._going_on is not None
        if episode.kind != Kind.RUN or not episode.run_id:
            self._end(episode, now, "")
        else:
            ending, seen_at_ms = how(episode)
            if seen_at_ms is not None:
                episode.seen_at = max(episode.seen_at, min(now, _time(seen_at_ms, now)))
            # Up to a minute after its end Redis still had its last word.
            is_late = now - episode.seen_at > GAP_OF_MEASURED
            at = now if ending else episode.seen_at
            self._end(episode, at, ending or (UNSEEN if is_late else SILENT))
        self._going_on.pop((episode.exchange_id, episode.kind), None)

    def _end(self, episode: Episode, at: datetime, ending: str) -> None:
        episode.ended_at = max(at, episode.began_at)
        episode.ending = ending
        episode.save(update_fields=["seen_at", "ended_at", "ending", "count"])


def longest_gap(kind: str) -> timedelta:
    """Return after how long without a look nobody knows whether something goes on."""
    return GAP_OF_MEASURED if kind in (Kind.HOLES, Kind.STALE) else GAP


def _begin(exchange_id: int, kind: str, fact: Fact, now: datetime) -> Episode:
    of_kind = Episode.objects.filter(exchange_id=exchange_id, kind=kind)
    if of_kind.filter(began_at__gt=now - HOUR).count() >= MOST_AN_HOUR:
        fact = UNSTEADY
    return Episode.objects.create(
        exchange_id=exchange_id,
        kind=kind,
        tone=fact.tone,
        text=fact.text,
        count=fact.count,
        run_id=fact.run_id,
        began_at=min(now, _time(fact.began_at_ms, now)),
        seen_at=min(now, _time(fact.seen_at_ms, now)),
    )


def _is_same(episode: Episode, fact: Fact | None, now: datetime) -> bool:
    if episode.text == UNSTEADY.text:
        return now - episode.began_at < HOUR
    return fact is not None and (
        (episode.tone, episode.text, episode.run_id) == (fact.tone, fact.text, fact.run_id)
    )


def _time(ms: int | None, now: datetime) -> datetime:
    return now if ms is None else datetime.fromtimestamp(ms / 1000, UTC)
