"""What is asked of REST at every exchange, however sure its venue is of the answers."""

import time
from typing import Any

from exchanges.contact.asking import topics_on_a_connection
from exchanges.contact.contact import Contact
from exchanges.contact.fact import Answer, UnsureFact
from exchanges.contact.watching import ask_closing, ask_quiet_frames
from exchanges.rest.reply import QuietBars
from livermore.market.candle import Candle
from livermore.market.timeframe import MINUTE_MS, Timeframe

MOST_TOPICS = 300
SETTLING_MS = 30_000  # so long after its end a row is looked at
SECONDS_BETWEEN_LOOKS = 1.0
DAYS = 3
M1 = Timeframe.M1


def ask_quiet_rows(contact: Contact) -> Answer:
    """Look at an hour of a quiet symbol of each kind: what is there of minutes without trades."""
    seen: dict[str, dict[str, Any]] = {}
    found = set[str]()
    for kind in contact.kinds:
        symbol = contact.quiet_symbol(kind)
        if symbol is None:
            seen[kind] = {"symbol": None}
            continue
        start_ms, end_ms = contact.settled_hour()
        rows = contact.rows(symbol, M1, start_ms, end_ms)
        empty = sum(each.volume == 0 for each in rows.values())
        lacking = (end_ms - start_ms) // M1.ms - len(rows)
        seen[kind] = {
            "symbol": symbol,
            "rows": len(rows),
            "withoutTrades": empty,
            "withoutRow": lacking,
        }
        found |= {word for word, count in (("rows", empty), ("holes", lacking)) if count}
    if not found:
        return Answer("no symbol with a minute without trades was found", None, seen)
    assumed = "rows" if contact.rest.quiet_bars is QuietBars.FILLS else "holes"
    text = f"minutes without trades are {' and '.join(sorted(found))}"
    return Answer(text, found == {assumed}, seen)


def ask_settling(contact: Contact) -> Answer:
    """Look at the row of the minute that ends next, until it has not changed for a while."""
    start_ms = M1.floor(contact.now_ms())
    end_ms = start_ms + M1.ms
    contact.wait_until(end_ms)
    first_ms = changed_ms = None
    row: Candle | None = None
    looks = 0
    while (now_ms := contact.now_ms()) < end_ms + SETTLING_MS:
        told = contact.rows(contact.symbol, M1, start_ms, end_ms).get(start_ms)
        looks += 1
        if told is not None and (row is None or told.values() != row.values()):
            first_ms = now_ms - end_ms if first_ms is None else first_ms
            changed_ms, row = now_ms - end_ms, told
        time.sleep(SECONDS_BETWEEN_LOOKS)
    seen = {"looks": looks, "firstAfterMs": first_ms, "lastChangeAfterMs": changed_ms}
    if changed_ms is None:
        within = SETTLING_MS / 1000
        return Answer(f"REST did not tell the minute within {within:.0f} s", None, seen)
    text = f"first told {first_ms} ms after its end, changed last {changed_ms} ms after it"
    # The first look may come late, and is no change.
    is_settled = changed_ms == first_ms or changed_ms <= contact.settle_ms
    return Answer(text, is_settled, seen)


def ask_days(contact: Contact) -> Answer:
    """Look when the newest days opened."""
    found = contact.rest.get_candles(contact.symbol, Timeframe.D1, limit=DAYS)
    offsets = sorted({each.timestamp % Timeframe.D1.ms for each in found})
    seen = {"days": len(found), "refused": list(found.refused[:DAYS]), "offsetsMs": offsets}
    is_so = bool(found) and not found.refused
    text = "days open at 00:00 UTC" if is_so else f"{len(found.refused)} days open at another time"
    return Answer(text, is_so if found or found.refused else None, seen)


def ask_newest(contact: Contact) -> Answer:
    """Look how old the newest row is, and whether the open bar is told."""
    now_ms = contact.now_ms()
    start_ms = M1.floor(now_ms) - 10 * MINUTE_MS
    found = contact.rest.get_candles(contact.symbol, M1, start_ms, with_open=True)
    newest = found.young or (found[-1] if found else None)
    if newest is None:
        return Answer("no row of the last ten minutes", False, {"rows": 0})
    behind_ms = M1.floor(now_ms) - newest.close_time_ms
    seen = {"closedBehindMs": behind_ms, "tellsOpenBar": found.open_candle is not None}
    text = f"the newest closed minute ended {(now_ms - newest.close_time_ms) / 1000:.0f} s ago"
    return Answer(text, behind_ms <= contact.rest.lag_ms, seen)


def ask_topics(contact: Contact) -> Answer:
    """Subscribe as many topics on a connection as we do, 300 at the most."""
    count = min(contact.stream.limits.topics_per_connection, MOST_TOPICS)
    return topics_on_a_connection(count)(contact)


USUAL = (
    UnsureFact(
        "quiet_rows",
        "Has REST a row for a minute in which nothing was traded?",
        "As `quiet_bars` says; what it lacks beside that stays unknown, and is asked for again.",
        ask_quiet_rows,
    ),
    UnsureFact(
        "settling",
        "How long after its end does a minute's row still change?",
        "No longer than `settle_ms`: an older row is taken as final.",
        ask_settling,
    ),
    UnsureFact("days", "Do days open at 00:00 UTC?", "They do: others are refused.", ask_days),
    UnsureFact(
        "newest",
        "How far behind is the newest row of REST?",
        "No further than `lag_ms`: what is missing after that is a hole.",
        ask_newest,
    ),
    UnsureFact(
        "many_topics",
        "Does one connection take as many topics as we give it?",
        "It does; those that it refuses are given up, and told.",
        ask_topics,
    ),
    UnsureFact(
        "closing",
        "Is each minute with trades told to be closed by the stream, and how late?",
        "As `marks_closed_bars` says; a close that does not come is asked for over REST.",
        ask_closing,
    ),
    UnsureFact(
        "quiet_frames",
        "Does the stream tell minutes without trades?",
        "Either is right: without a frame REST is asked.",
        ask_quiet_frames,
    ),
)
