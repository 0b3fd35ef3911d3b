"""Frames are made once, and written in one go to each who listens, in the form that it wants."""

import asyncio

from serving.binance.streams import Form
from serving.streams.hub import Hub, Topic, text_frame

A, B = (Topic(4, "kline", symbol, "1m") for symbol in ("A-USD", "B-USD"))
PLAIN, NAMED = Form("", False), Form("a", False)


class Listening:
    """A client's connection that remembers what was written to it."""

    def __init__(self):
        self.written = []

    def is_slow(self):
        return False

    def write(self, frames):
        self.written.append(frames)


async def nothing(topic):
    pass


def test_who_listens_gets_each_topic_in_the_form_that_it_wants_last():
    hub = Hub(nothing, lambda topic: None)
    one, other = Listening(), Listening()
    named = text_frame(NAMED.write(b"1"))

    async def listen():
        await hub.join(one, A, "a", PLAIN)
        await hub.join(one, B, "b", PLAIN)
        await hub.join(other, A, "a", NAMED)
        hub.publish([(A, b"1"), (B, b"2")])
        assert one.written == [text_frame(b"1") + text_frame(b"2")]
        assert other.written == [named]
        await hub.join(one, A, "a", NAMED)  # another form from now on
        hub.publish([(A, b"1")])
        assert one.written[1:] == other.written[1:] == [named]
        hub.leave(other, A, "a")
        hub.publish([(A, b"1")])
        assert (len(one.written), len(other.written)) == (3, 2)

    asyncio.run(listen())


def test_what_nobody_listens_to_is_written_to_nobody():
    left = []
    hub, one = Hub(nothing, left.append), Listening()
    asyncio.run(hub.join(one, A, "a", PLAIN))
    hub.publish([(B, b"1")])
    hub.leave(one, A, "a")
    hub.publish([(A, b"1")])
    assert (one.written, left) == ([], [A])
