"""What of OKX nobody has seen, and how it is asked on first contact."""

from exchanges.contact.asking import bad_topic_among_good, frames_that, unknown_symbol
from exchanges.contact.fact import UnsureFact
from exchanges.venues.okx.stream import NEXT_ROW, ROWS

NOWHERE = "NOPE-USDT"


def has_several_rows(frame: bytes) -> bool:
    """Tell whether a frame of candles holds more than one bar."""
    rows_at = frame.find(ROWS)
    return rows_at >= 0 and frame.find(NEXT_ROW, rows_at) >= 0


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
)
