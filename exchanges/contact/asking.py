"""Questions that several venues have, each made into what asks it."""

from collections.abc import Callable
from itertools import islice

from exchanges.contact.contact import Contact
from exchanges.contact.fact import Answer
from exchanges.errors import LivermoreError, UnknownSymbol, clip
from exchanges.stream.base import Topic
from livermore.market.timeframe import Timeframe

Ask = Callable[[Contact], Answer]
WORDS_SHOWN, FEW_FRAMES = 300, 4
LISTEN_SECONDS, FRAMES_SECONDS = 5.0, 90.0
UNKNOWN = "NOPE-NOPE"  # what no exchange lists


def frames_that(
    match: Callable[[bytes], bool], what: str, *, expected: bool | None, seconds: float = 0.0
) -> Ask:
    """Return what counts the frames of the lively symbol that match, in so many seconds; 0: 90.

    `what` names them, in the plural. `expected`: whether we take it that there are any; None where
    the code is right either way.
    """

    def ask(contact: Contact) -> Answer:
        topics, length = contact.stream.topics([contact.symbol]), seconds or FRAMES_SECONDS
        listening = contact.listen(topics, length)
        matching = sum(match(frame.content) for frame in listening.frames)
        seen = {"frames": len(listening.frames), "matching": matching, "seconds": round(length)}
        is_as_assumed = None if expected is None else bool(matching) == expected
        text = f"{matching} {what} among {len(listening.frames)} frames in {length:.0f} s"
        return Answer(text, is_as_assumed, seen)

    return ask


def topics_on_a_connection(count: int) -> Ask:
    """Return what subscribes so many topics on one connection, as far as that many are listed."""

    def ask(contact: Contact) -> Answer:
        names = (each.symbol for each in contact.listed if each.is_trading)
        shares = contact.stream.topics_by_address(contact.stream.topics(names))
        topics = max(shares.values(), key=len)[:count]
        listening = contact.listen(topics, LISTEN_SECONDS)
        confirmed = len(listening.confirmed)
        seen = {
            "asked": len(topics),
            "confirmed": confirmed,
            "refused": len(listening.refused),
            "frames": len(listening.frames),
            "ended": clip(listening.ended, WORDS_SHOWN),
            "words": [clip(each, WORDS_SHOWN) for each in islice(listening.refused.values(), 3)],
        }
        end = f"; the connection ended: {clip(listening.ended)}" if listening.ended else ""
        text = f"{confirmed} of {len(topics)} topics on one connection were confirmed{end}"
        are_all = confirmed == len(topics) and not listening.ended
        return Answer(text, None if are_all and len(topics) < count else are_all, seen)

    return ask


def bad_topic_among_good(bad: Callable[[Topic], Topic], *, refuses_all: bool | None) -> Ask:
    """Return what subscribes a topic that can't be beside one that can, in one message.

    `bad` makes it of the good one. `refuses_all`: whether we take it that the exchange refuses
    both then; None where nothing depends on it.
    """

    def ask(contact: Contact) -> Answer:
        good = next(iter(contact.stream.topics([contact.symbol])))
        wrong = bad(good)
        listening = contact.listen([good, wrong], LISTEN_SECONDS)
        first = next((frame for frame in listening.frames if good in frame.confirmed), None)
        at_once = first is not None and first.asked == 1
        words = [clip(repr(frame.content), WORDS_SHOWN) for frame in listening.frames[:FEW_FRAMES]]
        seen = {
            "goodConfirmedAtOnce": at_once,
            "goodConfirmed": first is not None,
            "badConfirmed": wrong in listening.confirmed,
            "ended": clip(listening.ended, WORDS_SHOWN),
            "firstFrames": words,
        }
        how = "taken" if at_once else "taken when asked for again" if first else "never taken"
        as_assumed = None if refuses_all is None else at_once != refuses_all
        text = f"beside a topic that can't be, one that can was {how}"
        return Answer(text, as_assumed, seen)

    return ask


def unknown_symbol(native: str = UNKNOWN) -> Ask:
    """Return what asks for candles of a symbol that there is none of, by a native name."""

    def ask(contact: Contact) -> Answer:
        contact.rest.learn({UNKNOWN: native})
        end_ms = Timeframe.M1.floor(contact.now_ms())
        try:
            rows = contact.rows(UNKNOWN, Timeframe.M1, end_ms - 5 * Timeframe.M1.ms, end_ms)
        except LivermoreError as error:
            is_so = isinstance(error, UnknownSymbol)
            kind = type(error).__name__
            seen = {"error": kind, "words": clip(str(error), WORDS_SHOWN)}
            return Answer(f"told as {kind}", is_so, seen)
        return Answer(f"answered with {len(rows)} rows", False, {"rows": len(rows)})

    return ask
