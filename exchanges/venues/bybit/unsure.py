"""What nobody has seen of Bybit, or only heard of: what is taken for true, and who asks."""

from exchanges.contact.asking import bad_topic_among_good, frames_that, unknown_symbol
from exchanges.contact.fact import UnsureFact
from exchanges.venues.bybit.stream import BybitSession

UNSURE: tuple[UnsureFact, ...] = (
    UnsureFact(
        name="one_bad_topic",
        question="Does one topic that there is none of take its whole message with it?",
        assumed="It does, and need not say which message: what is refused is halved.",
        ask=bad_topic_among_good(lambda topic: f"{topic}NOPE", refuses_all=True),
    ),
    UnsureFact(
        name="two_bars_in_a_frame",
        question="Does a frame hold a closed bar and the one behind it?",
        assumed="It may: all bars of a frame are read, the closed one first.",
        ask=frames_that(
            lambda frame: frame.count(b'"start":') > 1, "frames with two bars", expected=None
        ),
    ),
    UnsureFact(
        name="closing_flag",
        question="Are closing frames written as the flag is looked for, without a blank?",
        assumed='They are: `"confirm":true`. Otherwise a close is read a moment later.',
        ask=frames_that(
            lambda frame: BybitSession.closing_flag in frame, "closing frames", expected=True
        ),
    ),
    UnsureFact(
        name="unknown_symbol",
        question="What is said to who asks for candles of a symbol that there is none of?",
        assumed="Code 10001 with words about a symbol, or code 10029.",
        ask=unknown_symbol("NOPEUSDT"),
    ),
)
