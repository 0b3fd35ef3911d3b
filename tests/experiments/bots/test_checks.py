"""What is false in an answer, on a socket or among events, the bots would find."""

import pytest

from tests.experiments.bots.checks import (
    Answer,
    EventChecks,
    StreamChecks,
    faults_of,
    faults_of_open,
    newest_late_ms,
)
from tests.experiments.bots.findings import Findings, reason_of
from tests.experiments.bots.streaming import messages
from tests.experiments.bots.truth import Pair, joined

MINUTE = 60_000
BEGIN = 1_795_046_400_000  # a midnight
NOW = BEGIN + 100 * MINUTE + 20_000
M1, M3 = Pair("BTC-USD", "1m"), Pair("BTC-USD", "3m")


def row(number, **changed):
    """Return the true candle of a minute, some of its numbers changed."""
    values = {"t": BEGIN + number * MINUTE, "o": 10.0, "h": 12.0, "l": 9.0, "c": 11.0,
              "v": 1.5 + number, "q": 15.0, "n": 7, "V": 0.5, "Q": 5.0}  # fmt: skip
    return list((values | changed).values())


class FixedTruth:
    """Every minute of a day, but for those left out."""

    def __init__(self, *left_out):
        self._rows = {BEGIN + n * MINUTE: row(n) for n in range(1440) if n not in left_out}

    def closed(self, pair, start_ms, end_ms):
        return {opened: each for opened, each in self._rows.items() if start_ms <= opened < end_ms}


TRUTH = FixedTruth()


def answer(rows, **changed):
    usual = {"limit": len(rows), "sent_ms": NOW, "received_ms": NOW + 50, "slack_ms": 2000}
    return Answer(M1, rows, **usual | changed)


def newest(count=5, last=100):
    return [row(n) for n in range(last - count + 1, last + 1)]


def found(*arguments, truth=TRUTH, **changed):
    return list(faults_of(answer(*arguments, **changed), truth))


def test_a_true_answer_has_no_fault():
    assert found(newest()) == []
    assert found(newest(last=99), closed_alone=True) == []
    stretch = {"start_ms": BEGIN + 3 * MINUTE, "end_ms": BEGIN + 9 * MINUTE, "limit": 100}
    assert found([row(n) for n in range(3, 10)], **stretch) == []
    assert found([row(n) for n in range(3, 7)], **stretch | {"limit": 4}) == []
    quiet = FixedTruth(97, 98)
    assert found([row(n) for n in (95, 96, 99, 100)], truth=quiet) == []


@pytest.mark.parametrize("column", "ohlcvqnVQ")
def test_a_closed_candle_that_differs_in_any_column_is_found(column):
    rows = newest()
    rows[2] = row(98, **{column: 99})
    (fault,) = found(rows)
    assert " is not " in fault


def test_a_column_that_is_not_told_is_found_and_a_client_that_knows_six_lacks_none():
    rows = newest()
    rows[2] = row(98, Q=None)
    assert len(found(rows)) == 1
    assert found([each[:6] for each in newest()]) == []
    assert len(found([each[:6] for each in rows[:2]] + [row(98, c=10.5)[:6]] + rows[3:])) == 1


def test_a_hole_is_found_wherever_it_is():
    assert "is missing before" in found([row(n) for n in (95, 97, 98, 99, 100)])[0]
    stretch = {"start_ms": BEGIN + 3 * MINUTE, "end_ms": BEGIN + 9 * MINUTE, "limit": 100}
    assert "is missing before" in found([row(n) for n in range(4, 10)], **stretch)[0]
    assert "the newest bar is missing" in found([row(n) for n in range(3, 9)], **stretch)[0]
    assert "the newest bar is missing" in found([], **stretch)[0]


def test_a_candle_that_does_not_exist_is_found():
    assert "does not exist" in found(newest(), truth=FixedTruth(98))[0]


def test_rows_that_are_too_few_too_many_out_of_order_or_out_of_range_are_found():
    assert found(newest(), limit=6) == ["5 rows of 6"]
    closed = newest(last=99)
    assert found(closed, limit=6) == [] and found(closed, limit=7) == ["5 rows of 7"]
    assert found(newest(), limit=4) == ["5 rows of 4"]
    assert any("not in order" in text for text in found(newest()[::-1]))
    assert any("not in order" in text for text in found([*newest(4), row(100)]))
    rows = [row(n) for n in range(3, 10)]
    assert any(" is before " in text for text in found(rows, start_ms=BEGIN + 4 * MINUTE, limit=9))
    end = {"end_ms": BEGIN + 8 * MINUTE}
    assert any(" is behind " in text for text in found(rows, **end))
    assert any("off the boundary" in text for text in found([row(99), row(100, t=NOW)]))


def test_a_newest_bar_that_is_missing_for_too_long_is_found():
    at = BEGIN + 100 * MINUTE
    stale = newest(last=98)
    for after_ms, count in ((6_900, 0), (7_100, 1)):
        assert newest_late_ms(answer(stale, sent_ms=at + after_ms), TRUTH) == after_ms
        assert len(found(stale, sent_ms=at + after_ms, received_ms=at + after_ms)) == count
    assert len(found(stale, sent_ms=at + 2_100, received_ms=at + 2_200, grace_ms=0)) == 1


def test_what_is_told_before_its_time_is_found():
    assert any("in the future" in text for text in found(newest(last=101)))
    assert any("before its end" in text for text in found(newest(last=100), closed_alone=True))


def test_a_bar_that_ended_a_moment_ago_may_be_told_as_it_was_before():
    at = BEGIN + 100 * MINUTE
    rows = [*newest(4, last=98), row(99, c=10.0, v=0.5)]
    assert found(rows, sent_ms=at + 1_900, received_ms=at + 1_950) == []
    assert len(found(rows, sent_ms=at + 2_100, received_ms=at + 2_150)) == 1
    assert answer(rows, sent_ms=at + 1_900).open_rows() == [rows[-1]]


def test_an_open_candle_has_to_become_what_it_became():
    true = row(5)
    assert list(faults_of_open(row(5, h=11.0, c=10.5, v=0.1, q=1.0, n=1, V=0.1, Q=1.0), true)) == []
    for wrong in ({"o": 10.5}, {"h": 12.5}, {"l": 8.0}, {"v": 99.0}, {"n": 8}, {"c": 12.5},
                  {"q": None, "n": 8}):  # fmt: skip
        assert len(list(faults_of_open(row(5, **wrong), true))) == 1, wrong
    assert len(list(faults_of_open(row(5), None))) == 1
    assert list(faults_of_open(row(5, v=0), None)) == []


def closes(*numbers, truth=TRUTH, after_ms=10, **changed):
    checks, faults = StreamChecks(M1, truth), []
    for number in numbers:
        each = row(number, **changed)
        faults += checks.close(each, each[0] + MINUTE + after_ms)
    return faults, checks


def test_closes_of_a_socket_come_once_in_order_true_and_not_early():
    faults, checks = closes(1, 2, 3)
    assert (faults, checks.closes, checks.skipped) == ([], 3, [])
    assert "again" in closes(1, 2, 2)[0][0]
    assert "behind a later one" in closes(2, 1)[0][0]
    assert "before its end" in closes(1, after_ms=-1)[0][0]
    assert " is not " in closes(1, Q=6.0)[0][0]
    assert "does not exist" in closes(1, truth=FixedTruth(1))[0][0]
    assert closes(1, 4)[1].skipped == [BEGIN + 2 * MINUTE, BEGIN + 3 * MINUTE]
    assert closes(1, 4, truth=FixedTruth(2, 3))[1].skipped == []


def test_open_candles_of_a_socket_come_in_their_turn():
    _, checks = closes(1, 2)
    at = BEGIN + 3 * MINUTE + 500
    assert list(checks.open(row(3), at)) == []
    assert len(list(checks.open(row(2), at))) == 1
    assert len(list(checks.open(row(4), at))) == 1


def events(*told, truth=TRUTH):
    checks, faults = EventChecks(truth), []
    for event_id, number, changed in told:
        flags = {name: changed.pop(name, False) for name in ("late", "again")}
        each = row(number, **changed)
        faults += checks.take(event_id, M1, each, each[0] + MINUTE, **flags)
    return faults, list(checks.missing(BEGIN + 5 * MINUTE))


def test_each_event_comes_once_in_order_and_none_is_missing():
    true = [(f"{n + 1}-0", n, {}) for n in range(5)]
    assert events(*true) == ([], [])
    assert "came after" in events(*true, ("5-0", 5, {}))[0][0]
    assert "told twice" in events(*true, ("9-0", 4, {}))[0][0]
    assert events(*true, ("9-0", 4, {"again": True}))[0] == []
    assert " is not " in events(("1-0", 1, {"V": 0.25}))[0][0]
    lacking = [each for each in true if each[1] != 2]
    faults, missing = events(*lacking)
    assert faults == [] and len(missing) == 1
    assert "not as late" in events(*lacking, ("9-0", 2, {}))[0][0]
    assert events(*lacking, ("9-0", 2, {"late": True})) == ([], [])


def test_an_event_before_the_end_of_its_bar_is_found():
    early = EventChecks(TRUTH).take("1-0", M1, row(1), BEGIN + 2 * MINUTE - 1, late=False,
                                    again=False)  # fmt: skip
    assert "before its end" in next(early)


def test_a_longer_bar_is_added_up_as_it_should_be():
    parts = {BEGIN + n * MINUTE: row(n, o=10.0 + n, h=20.0 - n, v=0.1) for n in range(3)}
    (made,) = joined(parts, M3).values()
    assert made == [BEGIN, 10.0, 20.0, 9.0, 11.0, 0.3, 45.0, 21, 1.5, 15.0]


def test_what_reaches_a_bot_beside_candles_is_counted_and_all_but_503_is_a_fault():
    bot = Findings("bot")
    bot.answered(
        503, '{"code":-1001,"msg":"x: candles are not known yet: it is away at 12:30"}', "5"
    )
    assert bot.faults == []
    assert bot.refused == {"it is away at #": 1}
    bot.answered(503, "away", None)
    bot.answered(429, "too many", "1")
    bot.answered(500, "oh", None)
    assert (bot.limited, len(bot.faults)) == (1, 3)
    assert reason_of("the cache can't be read: Error 111") == "can't be read: Error #"
    assert reason_of("the cache can't be read: to /tmp/a/b.sock") == "can't be read: to b.sock"
    native = '{"error":"x: candles are not known yet: it is away","missing":[[1,2]]}'
    assert reason_of(native) == reason_of(f"binance {native}") == "it is away"


def test_server_sent_events_are_read():
    lines = [b": alive", b"", b"id: 7-0", b"event: close", b'data: {"a": 1}', b"", b"id: 8-0"]
    assert list(messages(iter(lines))) == [("close", "7-0", '{"a": 1}')]
