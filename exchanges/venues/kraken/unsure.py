"""What of Kraken nobody has seen, and how it is asked on first contact."""

import time
from itertools import pairwise
from typing import TYPE_CHECKING

import orjson

from exchanges.contact.asking import bad_topic_among_good, unknown_symbol
from exchanges.contact.fact import Answer, UnsureFact
from exchanges.errors import LivermoreError, clip
from exchanges.stream.events import Clock
from livermore.market.timeframe import Timeframe

if TYPE_CHECKING:
    from exchanges.contact.contact import Contact

NOWHERE = "NOPE/USD"
CALLS = 5
MORE_THAN_TOLD = 60  # bars
LISTEN_SECONDS = 75.0


def rows_before_depth(contact: "Contact") -> Answer:
    """Ask for more than is said to be told, and count what comes."""
    rest, timeframe = contact.rest, Timeframe.M1
    open_ms, asked = timeframe.floor(contact.now_ms()), rest.candles_per_call + MORE_THAN_TOLD
    since = (open_ms - asked * timeframe.ms) // 1000
    native = next(each.native_symbol for each in contact.listed if each.symbol == contact.symbol)
    body = rest.client.get("/0/public/OHLC", {"pair": native, "interval": 1, "since": since})
    rows = next(each for each in body["result"].values() if isinstance(each, list))
    closed = [row for row in rows if row[0] * 1000 < open_ms]
    seen = {"asked": asked, "closed": len(closed), "rows": len(rows)}
    text = f"{len(closed)} closed rows came where {asked} minutes were asked for"
    return Answer(text, len(closed) == rest.depth_rows, seen)


def calls_in_turn(contact: "Contact") -> Answer:
    """Make a few calls as far apart as all of ours are, and look what becomes of them."""
    said = []
    began = time.monotonic()
    for _ in range(CALLS):
        try:
            contact.rest.server_time_ms()
        except LivermoreError as error:
            said.append(clip(str(error)))
    seconds = time.monotonic() - began
    seen = {"calls": CALLS, "seconds": round(seconds, 2), "failed": said}
    text = f"{CALLS} calls in {seconds:.1f} s: {len(said)} failed"
    return Answer(text, not said, seen)


def times_in_frames(contact: "Contact") -> Answer:
    """Look how far apart the times lie that frames tell, by which quiet bars are closed."""
    topics = list(contact.stream.topics([contact.symbol]))
    listening = contact.listen(topics, LISTEN_SECONDS)
    times = [
        frame.at
        for frame in listening.frames
        if any(isinstance(event, Clock) for event in frame.events)
    ]
    apart = max((later - one for one, later in pairwise(times)), default=None)
    pongs = sum(b'"pong"' in frame.content for frame in listening.frames)
    seen = {"times": len(times), "longestApart": apart and round(apart, 2), "pongs": pongs}
    text = f"{len(times)} times were told, {pongs} in answers to pings"
    return Answer(text, apart is not None and apart < 3 and pongs > 0, seen)


def words_of_one_interval(contact: "Contact") -> Answer:
    """Look with which fields updates of candles come."""
    topics = [each for each in contact.stream.topics([contact.symbol]) if each.startswith("ohlc")]
    listening = contact.listen(topics, LISTEN_SECONDS)
    updates = [frame.content for frame in listening.frames if b'"update"' in frame.content]
    candles = [orjson.loads(each) for each in updates if b'"ohlc"' in each]
    with_time = sum("timestamp" in each for each in candles)
    several = sum(len(each["data"]) > 1 for each in candles)
    seen = {"updates": len(candles), "withTime": with_time, "severalBars": several}
    text = f"of {len(candles)} updates {with_time} told when they were sent"
    return Answer(text, bool(candles) and with_time == len(candles), seen)


UNSURE = (
    UnsureFact(
        name="depth",
        question="Are there really no more than the newest 720 closed rows?",
        assumed="There are no more: older ones are never asked for.",
        ask=rows_before_depth,
    ),
    UnsureFact(
        name="calls_in_turn",
        question="Are calls that are a second apart all answered?",
        assumed="They are, where five at once may be answered with empty bodies.",
        ask=calls_in_turn,
    ),
    UnsureFact(
        name="times_in_frames",
        question="How often do frames tell the exchange's time?",
        assumed="At least each three seconds, in answers to our pings.",
        ask=times_in_frames,
    ),
    UnsureFact(
        name="updates",
        question="Do updates of candles tell when they were sent, and one bar each?",
        assumed="They do; without that time bars are closed by answers to pings alone.",
        ask=words_of_one_interval,
    ),
    UnsureFact(
        name="one_bad_symbol",
        question="Is one symbol that can't be refused by itself?",
        assumed="By itself: all others of the message are subscribed.",
        ask=bad_topic_among_good(
            lambda topic: f"{topic.partition(':')[0]}:{NOWHERE}", refuses_all=False
        ),
    ),
    UnsureFact(
        name="unknown_symbol",
        question="How are candles of a pair refused that there is none of?",
        assumed="By EQuery:Unknown asset pair with HTTP 200.",
        ask=unknown_symbol(NOWHERE),
    ),
)
