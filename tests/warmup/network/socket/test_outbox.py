import json

import pytest

from warmup.network.socket.outbox import Outbox, merge


def card(since, version, exchange=4, **changes):
    text = json.dumps({"type": "card", "since": since, "version": version, "changes": changes})
    about = {"exchange": exchange, "since": since, "version": version}
    return {"kind": "card", **about, "text": text}


def pair(*rows, live=None):
    text = json.dumps({"candles": [list(row) for row in rows], "macdv": [], "live": live})
    return {"kind": "pair", "pair": [4, "BTC-USD", "1m"], "text": text}


def told(message):
    return json.loads(message["text"])


def fill(outbox, count, now=0.0):
    for _ in range(count):
        outbox.note_sent(now)


def test_messages_go_out_in_order_while_the_browser_keeps_up():
    outbox = Outbox(window=2)
    outbox.put(card(1, 2))
    outbox.put(card(1, 2, exchange=5))
    assert [outbox.take()["exchange"], outbox.take()["exchange"]] == [4, 5]
    assert outbox.take() is None


def test_no_more_than_the_window_is_under_way():
    outbox = Outbox(window=40)
    outbox.put(card(1, 2))
    fill(outbox, 40)
    assert outbox.take() is None
    outbox.note_seen(1, now=1)
    assert outbox.take()["version"] == 2


def test_what_waits_is_merged_and_the_chain_of_versions_holds():
    outbox = Outbox(window=0)
    outbox.put(card(7, 8, state="warming", times={"heartbeat": 1}))
    outbox.put(card(8, 9, times={"heartbeat": 2}))
    outbox.put(card(9, 10, lines={"host": "a"}))
    fill(outbox, 0)
    outbox._window = 1
    merged = told(outbox.take())
    assert (merged["since"], merged["version"]) == (7, 10)
    expected = {"state": "warming", "times": {"heartbeat": 2}, "lines": {"host": "a"}}
    assert merged["changes"] == expected
    assert outbox.take() is None


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"cells": [[0, 0, "r"], [1, 1, "h"]]}, {"cells": [[0, 0, "c"]]},
         {"cells": [[0, 0, "c"], [1, 1, "h"]]}),
        ({"grid": {"rows": ["kk", "kk"]}}, {"cells": [[1, 0, "c"]]},
         {"grid": {"rows": ["kk", "ck"]}}),
        ({"cells": [[0, 0, "r"]]}, {"grid": {"rows": ["cc"]}}, {"grid": {"rows": ["cc"]}}),
        ({"grid": {"rows": ["kk"]}}, {"grid": {"rows": ["cc"]}}, {"grid": {"rows": ["cc"]}}),
        ({"cells": [[0, 0, "r"]]}, {"state": "x"}, {"cells": [[0, 0, "r"]], "state": "x"}),
    ],
)  # fmt: skip
def test_cells_are_merged_into_cells_or_into_the_grid(old, new, expected):
    assert told(merge(card(1, 2, **old), card(2, 3, **new)))["changes"] == expected


def test_an_exchange_that_comes_back_is_told_after_it_went():
    outbox = Outbox()
    for message in (card(1, 2), {"kind": "gone", "exchange": 4, "text": "{}"}, card(0, 1)):
        outbox.put(message)
    assert [outbox.take()["kind"], outbox.take()["kind"]] == ["gone", "card"]


def test_a_broken_chain_is_passed_on_for_the_browser_to_see():
    assert merge(card(1, 2, a=1), card(5, 6, b=2)) == card(5, 6, b=2)


def test_a_whole_card_takes_the_place_of_what_waited():
    assert merge(card(1, 2, a=1), card(0, 3, b=2)) == card(0, 3, b=2)


def test_a_change_after_a_whole_card_keeps_it_whole():
    merged = told(merge(card(0, 3, a=1, b=1), card(3, 4, b=2)))
    assert (merged["since"], merged["version"], merged["changes"]) == (0, 4, {"a": 1, "b": 2})


def test_the_rows_of_a_pair_are_merged_by_time():
    merged = told(merge(pair((1, 10), (2, 20), live=[3]), pair((2, 21), (3, 30))))
    assert merged["candles"] == [[1, 10], [2, 21], [3, 30]]
    assert merged["live"] is None


def test_of_lists_the_newest_is_kept():
    outbox = Outbox()
    outbox.put({"kind": "agents", "text": "[1]"})
    outbox.put({"kind": "agents", "text": "[2]"})
    assert (outbox.take()["text"], outbox.take()) == ("[2]", None)


def test_what_a_snapshot_tells_is_forgotten():
    outbox = Outbox()
    outbox.put(card(1, 2))
    outbox.put(pair((1, 10)))
    outbox.forget("card")
    assert (outbox.take()["kind"], outbox.take()) == ("pair", None)


# -- Frozen


def test_a_browser_that_never_answers_is_frozen_after_ten_seconds():
    outbox = Outbox()
    outbox.note_sent(now=100)
    assert not outbox.is_frozen(now=110)
    assert outbox.is_frozen(now=110.1)


def test_a_browser_that_was_told_nothing_owes_nothing():
    assert not Outbox().is_frozen(now=1e9)


def test_a_browser_that_answers_is_never_frozen():
    outbox = Outbox()
    for second in range(100):
        outbox.note_sent(now=second)
        outbox.note_seen(second + 1, now=second + 0.5)
    assert not outbox.is_frozen(now=1e9)


def test_a_message_right_after_an_answer_needs_none_of_its_own():
    outbox = Outbox()
    outbox.note_sent(now=0)
    outbox.note_seen(1, now=0.1)
    outbox.note_sent(now=1.9)  # a browser answers every two seconds, and then perhaps never again
    assert not outbox.is_frozen(now=1000)
    outbox.note_sent(now=1000)
    assert outbox.is_frozen(now=1010.1)


def test_an_answer_that_tells_nothing_new_does_not_count():
    outbox = Outbox()
    outbox.note_sent(now=0)
    for second in range(11):
        outbox.note_seen(0, now=second)
    assert outbox.is_frozen(now=10.1)


@pytest.mark.parametrize("count", [-1, 2, 10**30])
def test_more_or_less_than_was_sent_cannot_have_been_seen(count):
    outbox = Outbox()
    outbox.note_sent(now=0)
    with pytest.raises(ValueError, match="1 sent"):
        outbox.note_seen(count, now=0)
