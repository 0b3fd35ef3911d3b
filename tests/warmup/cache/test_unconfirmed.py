"""What has to be told twice before it is believed, and how often a bad row is asked for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchanges.rest.reply import Candles, QuietBars, Refusal
from livermore.market.candle import Candle
from livermore.market.coverage import intersect, subtract, union
from livermore.market.timeframe import Timeframe
from warmup.cache.unconfirmed import (
    EMPTY,
    LONGEST_RETRY_MS,
    SECOND_LOOK_MS,
    TRADED,
    Rules,
    Unconfirmed,
    dump,
    learn,
    load,
    newest,
    second_looks,
    told_empty,
    with_traded,
    withheld,
)

M1 = Timeframe.M1
START = M1.floor(1_795_000_000_000)
LAG_MS = 600_000
OMITS, FILLS = Rules(QuietBars.OMITS, LAG_MS), Rules(QuietBars.FILLS, 300_000)
NOW = START + 100 * M1.ms  # long after the bars that are looked at


def at(number):
    return START + number * M1.ms


def stretch(first, end):
    return at(first), at(end)


def answer(rows, first=0, end=10, *, covered=None, refused=(), contradicts=False, anchored=True):
    """Return an answer on the bars from `first` to before `end`; proven between its rows."""
    found = Candles(Candle(at(n), 1.0, 1.0, 1.0, 1.0, 1.0, M1) for n in rows)
    found.asked = (stretch(first, end),)
    proven = ((at(min(rows)), at(max(rows) + 1)),) if rows else ()
    found.refusals = [Refusal(*stretch(n, n + 1), "low above high") for n in refused]
    found.covered = subtract(covered if covered is not None else proven, stretches(found.refusals))
    found.contradicts, found.anchored = contradicts, anchored and not contradicts
    found.is_bare = not rows
    return found


def stretches(known):
    return [each[:2] for each in known]


def learnt(known, found, *, rules=OMITS, covered=(), now_ms=NOW):
    return learn(tuple(known), covered, found, M1, rules, now_ms)


@pytest.mark.parametrize("anchored", [True, False])
@pytest.mark.parametrize("rules", [OMITS, FILLS])
def test_an_empty_stretch_is_believed_when_it_is_told_again_later(rules, anchored):
    found = answer([], anchored=anchored)
    known, covered = learnt((), found, rules=rules)
    assert (known, covered) == ((Unconfirmed(*stretch(0, 10), EMPTY, NOW),), ())
    apart_ms = rules.lag_ms if anchored else SECOND_LOOK_MS
    assert learnt(known, found, rules=rules, now_ms=NOW + apart_ms - 1) == (known, ())
    later = NOW + apart_ms
    assert learnt(known, found, rules=rules, now_ms=later) == ((), (stretch(0, 10),))


def test_what_ended_a_moment_ago_is_not_believed_however_often_it_is_told():
    now_ms = at(10) + 1000
    known, covered = learnt((), answer([]), now_ms=now_ms)
    for _ in range(3):
        later = learnt(known, answer([]), now_ms=now_ms)
        assert later == (known, covered) == (known, ())


def test_only_what_is_settled_is_believed_the_rest_is_asked_for_again():
    known = (Unconfirmed(*stretch(0, 10), EMPTY, NOW - SECOND_LOOK_MS),)
    now_ms = at(4) + LAG_MS + 1
    left, covered = learnt(
        [known[0]._replace(seen_ms=now_ms - SECOND_LOOK_MS)], answer([]), now_ms=now_ms
    )
    assert covered == (stretch(0, 4),)
    assert stretches(left) == [stretch(4, 10)]


def test_a_row_that_comes_at_the_second_look_is_a_candle_and_not_empty():
    known, _ = learnt((), answer([]))
    left, covered = learnt(known, answer([4]), now_ms=NOW + SECOND_LOOK_MS)
    assert left == ()
    assert covered == (stretch(0, 10),)


def test_quiet_bars_between_rows_are_looked_at_once_more_and_then_never():
    known, covered = learnt((), answer([0, 3, 9]))
    assert covered == (stretch(0, 10),)
    assert known == (Unconfirmed(*stretch(1, 9), EMPTY, NOW),)
    assert second_looks(known, NOW + SECOND_LOOK_MS - 1) == ()
    assert second_looks(known, NOW + SECOND_LOOK_MS) == (stretch(1, 9),)
    later = NOW + SECOND_LOOK_MS
    known, _ = learnt(known, answer([0, 3, 9]), covered=covered, now_ms=later)
    assert known == ()
    assert learnt(known, answer([0, 3, 9]), covered=covered, now_ms=later)[0] == ()


def test_between_rows_a_bar_that_is_missing_where_quiet_ones_are_filled_is_not_covered():
    found = answer([0, 3], end=4, covered=(stretch(0, 1), stretch(3, 4)))
    known, covered = learnt((), found, rules=FILLS)
    assert covered == found.covered
    assert stretches(known) == [stretch(1, 3)]
    assert learnt(known, found, rules=FILLS, now_ms=NOW + FILLS.lag_ms) == ((), (stretch(0, 4),))


@pytest.mark.parametrize("bare", [True, False])
@pytest.mark.parametrize("settled", [True, False])
def test_an_answer_that_contradicts_what_is_known_confirms_nothing_unless_it_has_rows_and_is_old(
    bare, settled
):
    now_ms = NOW if settled else at(12)
    wrong = answer([], contradicts=True)
    wrong.is_bare = bare
    known, covered = learnt((), wrong, now_ms=now_ms)
    assert (len(known), covered) == (int(settled and not bare), ())
    told, _ = learnt((), answer([]), now_ms=now_ms)
    _, covered = learnt(told, wrong, now_ms=now_ms + SECOND_LOOK_MS)
    assert covered == (() if bare else (stretch(0, 10),))


def test_a_bar_that_the_stream_showed_to_trade_is_never_empty():
    known = with_traded((), [stretch(4, 5)], NOW)
    for now_ms in (NOW, NOW + SECOND_LOOK_MS, NOW + 9 * SECOND_LOOK_MS):
        known, covered = learnt(known, answer([0, 9]), now_ms=now_ms)
        assert covered == (stretch(0, 4), stretch(5, 10))
        assert Unconfirmed(*stretch(4, 5), TRADED, NOW) in known
    known, covered = learnt(known, answer([0, 4, 9]), now_ms=now_ms)
    assert covered == (stretch(0, 10),)
    assert TRADED not in {each.reason for each in known}


def test_a_bar_known_to_be_empty_once_is_not_any_more_when_the_stream_shows_it_trade():
    known, _ = learnt((), answer([]))
    known = with_traded(known, [stretch(4, 5)], NOW)
    assert [each.reason for each in known] == [EMPTY, TRADED, EMPTY]
    _, covered = learnt(known, answer([]), now_ms=NOW + SECOND_LOOK_MS)
    assert covered == (stretch(0, 4), stretch(5, 10))


def test_a_refused_row_is_asked_for_at_once_and_then_ever_more_rarely():
    found, known, pauses, now_ms = answer([0, 9], refused=[4]), (), [], NOW
    for _ in range(14):
        known, covered = learnt(known, found, now_ms=now_ms)
        assert covered == (stretch(0, 4), stretch(5, 10))
        (bad,) = (each for each in known if each.is_refused)
        assert bad[:2] == stretch(4, 5)
        due_ms = next(t for t in range(now_ms, now_ms + 10**9, 1000) if not withheld(known, t))
        pauses.append(due_ms - now_ms)
        now_ms = due_ms
    assert pauses[0] == 0
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_RETRY_MS
    known, covered = learnt(known, answer([0, 4, 9]), now_ms=now_ms)
    assert covered == (stretch(0, 10),)
    assert not any(each.is_refused for each in known)


def test_a_refused_row_keeps_its_neighbours_from_nothing():
    found = answer([0, 9], refused=[4])
    known, _ = learnt((), found)
    assert [each[:3] for each in known] == [
        (*stretch(1, 4), EMPTY), (*stretch(4, 5), "low above high"), (*stretch(5, 9), EMPTY),
    ]  # fmt: skip
    left, _ = learnt(known, found, covered=found.covered, now_ms=NOW + LAG_MS)
    assert [each.reason for each in left] == ["low above high"]


def test_an_answer_on_another_stretch_changes_nothing():
    known = (
        Unconfirmed(*stretch(20, 30), EMPTY, NOW),
        Unconfirmed(*stretch(40, 41), "bad", NOW, 3),
    )
    assert learnt(known, answer(range(10)))[0] == known


def test_what_is_no_longer_kept_is_forgotten():
    known = (Unconfirmed(*stretch(0, 1), EMPTY, NOW), Unconfirmed(*stretch(1, 2), EMPTY, NOW))
    assert newest(known, M1, at(1001)) == known[1:]


@pytest.mark.parametrize("stored", [None, b"", b"null", b"{}", b"[1]", b"[[1]]", b"x", b"\xff"])
def test_what_cannot_be_read_is_nothing(stored):
    assert load(stored) == ()


def test_what_is_stored_is_read_again():
    known = (
        Unconfirmed(*stretch(0, 1), EMPTY, NOW),
        Unconfirmed(*stretch(1, 2), "bad: [1]", NOW, 3),
    )
    assert load(dump(known)) == known


BARS = st.sets(st.integers(0, 11), max_size=12)


@given(
    rules=st.sampled_from([OMITS, FILLS]),
    looks=st.lists(st.tuples(BARS, BARS, st.booleans(), st.integers(0, 40)), max_size=6),
    traded=BARS,
)
def test_no_bar_is_covered_as_empty_that_was_not_told_so_twice_or_stands_between_rows(
    rules, looks, traded
):
    known, covered, now_ms = with_traded((), (stretch(n, n + 1) for n in traded), NOW), (), NOW
    told: dict[int, list[int]] = {n: [] for n in range(12)}
    rowed: set[int] = set()
    between: set[int] = set()
    for rows, refused, contradicts, minutes in looks:
        now_ms += minutes * 60_000
        rows, refused = sorted(rows - refused), refused - rows
        proven = [stretch(n, n + 1) for n in rows]
        if rows and rules.quiet_bars is QuietBars.OMITS and not contradicts:
            proven = [stretch(rows[0], rows[-1] + 1)]
            between |= set(range(rows[0], rows[-1])) - refused
        found = answer(rows, 0, 12, covered=union(proven), refused=refused, contradicts=contradicts)
        known, more = learn(known, covered, found, M1, rules, now_ms)
        covered = union([*covered, *more])
        rowed |= set(rows)
        if rows or not contradicts:
            for n in set(range(12)) - set(rows) - refused:
                told[n].append(now_ms)
    for n in range(12):
        if intersect(covered, (stretch(n, n + 1),)) and n not in rowed:
            assert n not in traded
            assert n in between or told[n][-1] - told[n][0] >= rules.lag_ms
    assert told_empty(known) == union(told_empty(known))
