"""Thirty days as strips: what was live, what broke, and what nobody looked at."""

from datetime import UTC, datetime, timedelta

from exchanges.models import Episode
from warmup.network.past.days import (
    DAY,
    breaks_in_words,
    days,
    deaths_in_words,
    duration,
    midnight,
    note_of,
    strip,
    text_of,
)
from warmup.network.past.episodes import SILENT

NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)


def at(hour, minute=0, day=29):
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


def state(tone, began_at, ended_at=None, text="", seen_at=None, **fields):
    seen_at = seen_at or ended_at or NOW
    return Episode(
        kind="state", tone=tone, text=text or tone,
        began_at=began_at, ended_at=ended_at, seen_at=seen_at, **fields,
    )  # fmt: skip


def parts(found):
    return [(part.tone, f"{part.start:%d %H:%M}", f"{part.end:%d %H:%M}") for part in found.parts]


def test_a_day_is_told_without_gaps_and_ends_now():
    states = [
        state("good", at(20, day=28), at(3, 12)),
        state("bad", at(3, 12), at(3, 40), "Error: gone"),
        state("good", at(3, 40)),
    ]
    found = strip(states, midnight(NOW.date()), midnight(NOW.date()) + DAY, NOW)
    assert parts(found) == [
        ("good", "29 00:00", "29 03:12"),
        ("bad", "29 03:12", "29 03:40"),
        ("good", "29 03:40", "29 12:00"),
    ]
    assert found.summary == "live for 11 h 32 min, 1 break, 28 min in all"
    assert breaks_in_words(found) == ["03:12:00 to 03:40:00 UTC, 28 min: Error: gone"]


def test_what_nobody_looked_at_is_no_break_and_not_live():
    states = [state("good", at(1), at(2)), state("good", at(5), seen_at=at(6))]  # then it died
    found = strip(states, at(0), at(0) + DAY, NOW)
    assert [part[0] for part in parts(found)] == ["unknown", "good", "unknown", "good", "unknown"]
    assert found.summary == "live for 2 h, nobody looked for 10 h, no break"


def test_a_break_of_seconds_can_be_seen():
    states = [state("bad", at(3), at(3) + timedelta(seconds=2)), state("good", at(3))]
    [*_, (x, width, part)] = strip(states, at(0), at(0) + DAY, NOW).bars()
    assert (x, width, part.tone) == (180, 4, "bad")


def test_episodes_that_are_alike_are_one_break():
    states = [state("bad", at(1), at(2), "same"), state("bad", at(2), at(3), "same")]
    assert len(strip(states, at(1), at(3), NOW).breaks) == 1


def test_states_that_follow_each_other_without_being_live_are_one_break():
    states = [state("bad", at(1), at(2), "Stale"), state("bad", at(2), at(3), "Offline")]
    found = strip(states, at(0), at(4), NOW)
    assert breaks_in_words(found) == ["01:00:00 to 03:00:00 UTC, 2 h: Stale; then Offline"]


def test_a_run_that_died_is_told_in_the_day_of_its_death():
    run = Episode(kind="run", text="a (10.0.0.1), process 7", began_at=at(1, day=2),
                  seen_at=at(3, 12), ended_at=at(3, 12), ending=SILENT)  # fmt: skip
    told = "03:12:00 UTC: last sign of life of a (10.0.0.1), process 7, which ended without a word"
    assert deaths_in_words([run], strip([], at(0), at(0) + DAY, NOW)) == [told]
    assert deaths_in_words([run], strip([], at(4), at(4) + DAY, NOW)) == []


def test_there_are_thirty_days_the_newest_first():
    found = days([state("good", at(0, day=1))], NOW)
    assert len(found) == 30
    assert (found[0].start, found[0].end) == (at(0), NOW)
    assert found[-1].start == datetime(2026, 10, 31, tzinfo=UTC)
    assert found[1].summary == "live for 1 d, no break"
    assert found[-1].summary == "nobody looked for 1 d"


def test_a_run_without_a_last_word_says_when_it_was_seen_last():
    run = Episode(
        kind="run", began_at=at(1), seen_at=at(3, 12), ended_at=at(3, 12),
        ending="ended without a word",
    )  # fmt: skip
    assert note_of(run, NOW) == "ended without a word; last seen at 2026-11-29 03:12:00 UTC"


def test_what_goes_on_is_said_to_only_while_somebody_looks():
    assert note_of(state("good", at(1)), NOW) == ""
    alone = note_of(state("good", at(1), seen_at=at(11)), NOW)
    assert alone == "nobody has looked since 2026-11-29 11:00:00 UTC"


def test_holes_are_counted_in_words():
    holes = Episode(kind="holes", text="Pairs with holes", count=1400)
    assert text_of(holes) == "Pairs with holes: 1,400 at the most"


def test_durations_have_two_units():
    found = [duration(seconds) for seconds in (0.4, 59, 60, 3725, 90_061)]
    assert found == ["0 s", "59 s", "1 min", "1 h 2 min", "1 d 1 h"]
