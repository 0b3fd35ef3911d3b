"""What of OKX nobody has seen, and how it is asked on first contact."""

import time
from typing import TYPE_CHECKING

from exchanges.contact.asking import bad_topic_among_good, frames_that, unknown_symbol
from exchanges.contact.fact import Answer, UnsureFact
from exchanges.venues.okx.rest import BARS, CONFIRMED, HISTORY
from exchanges.venues.okx.stream import CHANNELS, NEXT_ROW, ROWS
from exchanges.venues.okx.symbols import rows_of
from livermore.market.timeframe import MINUTE_MS, Timeframe

if TYPE_CHECKING:  # who only says what is unsure connects to nothing
    from exchanges.contact.contact import Contact

NOWHERE = "NOPE-USDT"
M1 = Timeframe.M1
REFUSED_WITHIN_SECONDS = 3.0
LOOK_SECONDS, MOST_LOOKS = 1.0, 60  # at rows of which one should be confirmed


def has_several_rows(frame: bytes) -> bool:
    """Tell whether a frame of candles holds more than one bar."""
    rows_at = frame.find(ROWS)
    return rows_at >= 0 and frame.find(NEXT_ROW, rows_at) >= 0


def names_its_message(contact: "Contact") -> Answer:
    """Tell whether an error on the stream has the id of the message that it refuses."""
    listening = contact.listen([f"{CHANNELS[M1]}:{NOWHERE}"], REFUSED_WITHIN_SECONDS)
    errors = [each.content for each in listening.frames if b'"error"' in each.content]
    with_id = sum(b'"id":' in content for content in errors)
    seen = {"errors": len(errors), "withId": with_id}
    return Answer(f"{with_id} of {len(errors)} errors named their message", None, seen)


def confirmed_after(contact: "Contact") -> Answer:
    """Tell how long after its end the row of a minute says that it is confirmed."""
    native = contact.stream.native(contact.symbol) or ""
    params: dict[str, str | int] = {"instId": native, "bar": BARS[M1], "limit": 5}
    opened_ms = M1.floor(contact.now_ms())
    contact.wait_until(opened_ms + MINUTE_MS)
    for _ in range(MOST_LOOKS):
        rows = rows_of(contact.rest.client.get(HISTORY, params))
        if any(row[0] == str(opened_ms) and row[CONFIRMED] == "1" for row in rows):
            after_ms = contact.now_ms() - opened_ms - MINUTE_MS
            is_soon = after_ms < contact.rest.lag_ms
            text = f"confirmed within {after_ms / 1000:.1f} s of its end"
            return Answer(text, is_soon, {"confirmedWithinMs": after_ms})
        time.sleep(LOOK_SECONDS)
    return Answer(f"not confirmed after {MOST_LOOKS} looks", False, {"looks": MOST_LOOKS})


UNSURE = (
    UnsureFact(
        name="one_bad_topic",
        question="Does one topic that can't be take the whole message with it?",
        assumed="It does: what is refused is asked for again in halves.",
        ask=bad_topic_among_good(
            lambda topic: f"{topic.partition(':')[0]}:{NOWHERE}", refuses_all=True
        ),
    ),
    UnsureFact(
        name="rows_in_a_frame",
        question="Does a frame of candles ever hold more than one row?",
        assumed="It may: all are read, in the order of their times.",
        ask=frames_that(has_several_rows, "frames with several rows", expected=None),
    ),
    UnsureFact(
        name="unknown_symbol",
        question="How are candles of an instrument refused that there is none of?",
        assumed="By code 51001 with HTTP 200.",
        ask=unknown_symbol(NOWHERE),
    ),
    UnsureFact(
        name="errors_with_an_id",
        question="Does a refusal on the stream name the message that it refuses?",
        assumed="It may: without an id the oldest message that waits is meant.",
        ask=names_its_message,
    ),
    UnsureFact(
        name="confirmed_after",
        question="How long after its end does a row of REST say that it is confirmed?",
        assumed="Within a minute; until then a row that is not is asked for again.",
        ask=confirmed_after,
    ),
)
