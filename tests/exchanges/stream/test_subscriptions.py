"""How what is refused is singled out, against an exchange of a few lines."""

import json
import re
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchanges.errors import Unreachable
from exchanges.stream.events import Refused
from exchanges.stream.subscriptions import ACK_SECONDS, PAUSE_SECONDS, Subscriptions
from exchanges.venues.binance.stream import BinanceStream
from exchanges.venues.coinbase.stream import CoinbaseStream

STREAMS = {
    BinanceStream: [f"S{number:03d}" for number in range(60)],
    CoinbaseStream: [f"S{number:03d}-USD" for number in range(120)],
}
WAYS = ["error", "silent", "left_out"]
STEP_SECONDS = 0.05


class Exchange:
    """Answers a connection's messages as one of both does, but for those with a refused name."""

    def __init__(self, venue, refused_names=(), way="error", latency=0.1):
        self.stream = venue("ws://x", {name: name for name in STREAMS[venue]})
        self.session = self.stream.session()
        self.refused_names, self.way, self.latency = set(refused_names), way, latency
        self.subscribed, self.messages, self.pending = set(), [], []
        self.most_pending_while_searching = 0
        self.now = self.next_at = 0.0

    def run(self, subscriptions, seconds=600.0, until=lambda: False):
        """Let time pass until all is settled."""
        ends_at = self.now + seconds
        while (subscriptions.busy or self.pending) and self.now < ends_at and not until():
            self.now += STEP_SECONDS
            self._take(subscriptions)
            due = [text for at, text in self.pending if at <= self.now]
            self.pending = [each for each in self.pending if each[0] > self.now]
            events = [event for text in due for event in self.session.parse(text)]
            subscriptions.check(self.now, [each for each in events if isinstance(each, Refused)])

    def _take(self, subscriptions):
        if self.now < self.next_at or not subscriptions.has_message(self.now):
            return
        self.next_at = self.now + self.stream.limits.seconds_between_messages
        message = json.loads(subscriptions.next_message(self.now))
        self.messages.append(message)
        if (answer := self._answer(message)) is not None:
            self.pending.append((self.now + self.latency, json.dumps(answer).encode()))
        if subscriptions.searching:
            most = max(self.most_pending_while_searching, len(self.pending))
            self.most_pending_while_searching = most

    def _answer(self, message):
        named = named_in(message)
        verb = message.get("method", message.get("type")).lower()
        bad = {topic for topic in named if self.is_bad(topic)}
        if bad and verb == "subscribe" and self.way != "left_out":
            return None if self.way == "silent" else self._error(message)
        if verb == "subscribe":
            self.subscribed |= named - bad
        elif verb == "unsubscribe":
            self.subscribed -= named
        if "method" in message:
            return {"result": None, "id": message["id"]}
        told = {}
        for topic in sorted(self.subscribed):
            channel, _, product = topic.partition(":")
            told.setdefault(channel, []).append(product)
        return {
            "channel": "subscriptions",
            "timestamp": "2026-09-05T22:10:29.563180868Z",
            "sequence_num": len(self.messages),
            "events": [{"subscriptions": told}],
        }

    def _error(self, message):
        if "method" in message:
            return {"code": 2, "msg": "Invalid request", "id": message["id"]}
        return {"type": "error", "message": "invalid product"}

    def is_bad(self, topic):
        return topic in self.refused_names or self.stream.market_in(topic) in self.refused_names

    def topics(self):
        return set(self.stream.topics(STREAMS[type(self.stream)]))

    def subscriptions(self, refused=frozenset()):
        return Subscriptions(
            self.session, self.topics(), frozenset(refused), self.stream.market_in, ACK_SECONDS
        )


def named_in(message):
    if "method" in message:
        return set(message.get("params", ()))
    return {f"{message['channel']}:{name}" for name in message.get("product_ids", ())}


VENUES = pytest.mark.parametrize("venue", STREAMS)


def market(venue, number):
    """Return what topics call a market."""
    name = STREAMS[venue][number]
    return name.lower() if venue is BinanceStream else name


@VENUES
def test_where_all_is_well_each_topic_is_asked_for_once(venue):
    exchange = Exchange(venue)
    subscriptions = exchange.subscriptions()
    exchange.run(subscriptions)
    named = Counter(topic for message in exchange.messages for topic in named_in(message))
    assert set(named) == exchange.topics() == exchange.session.confirmed
    assert set(named.values()) == {1}
    assert not subscriptions.given_up


@VENUES
@pytest.mark.parametrize("way", ["error", "silent"])
@pytest.mark.parametrize("count", [1, 3, 8])
def test_the_good_ones_are_there_within_a_minute(venue, way, count):
    numbers = [7 * number % len(STREAMS[venue]) for number in range(1, count + 1)]
    exchange = Exchange(venue, {market(venue, number) for number in numbers}, way)
    subscriptions = exchange.subscriptions()
    good = {topic for topic in exchange.topics() if not exchange.is_bad(topic)}
    exchange.run(subscriptions, until=lambda: good <= exchange.session.confirmed)
    assert exchange.now < 60
    exchange.run(subscriptions)
    assert set(subscriptions.given_up) == exchange.topics() - good
    assert exchange.most_pending_while_searching <= 1


@VENUES
@settings(deadline=None, max_examples=60)
@given(data=st.data(), way=st.sampled_from(WAYS), latency=st.floats(0.01, 3.0))
def test_whichever_are_refused_those_are_given_up_and_no_other(venue, data, way, latency):
    topics = sorted(Exchange(venue).topics())
    markets = [market(venue, number) for number in range(len(STREAMS[venue]))]
    refused_names = data.draw(st.sets(st.sampled_from(topics + markets), max_size=5))
    known = data.draw(st.sets(st.sampled_from(topics), max_size=5))
    if venue is BinanceStream and way == "left_out":
        way = "error"  # whatever it answers for counts as subscribed there
    exchange = Exchange(venue, refused_names, way, latency)
    subscriptions = exchange.subscriptions(known)
    exchange.run(subscriptions, seconds=3600)
    bad = {topic for topic in topics if exchange.is_bad(topic)}
    assert not subscriptions.busy
    assert set(subscriptions.given_up) == bad
    assert exchange.session.confirmed == exchange.topics() - bad


@VENUES
def test_what_is_known_to_be_refused_is_asked_for_last_and_alone_and_once(venue):
    exchange = Exchange(venue, {market(venue, 3)})
    first = exchange.subscriptions()
    exchange.run(first)
    again = Exchange(venue, exchange.refused_names)
    subscriptions = again.subscriptions(first.given_up)
    again.run(subscriptions)
    named = [named_in(message) for message in again.messages if named_in(message)]
    last = named[-len(first.given_up) :]
    assert sorted(last, key=sorted) == sorted(({topic} for topic in first.given_up), key=sorted)
    assert sum(map(len, named)) == len(again.topics())
    assert subscriptions.given_up == first.given_up


@VENUES
def test_what_was_given_up_is_taken_once_the_exchange_takes_it(venue):
    exchange = Exchange(venue, {market(venue, 3)})
    subscriptions = exchange.subscriptions()
    exchange.run(subscriptions)
    exchange.refused_names.clear()
    subscriptions.retry()
    assert subscriptions.missing()
    exchange.run(subscriptions)
    assert not subscriptions.given_up
    assert exchange.session.confirmed == exchange.topics()


@VENUES
def test_a_refusal_for_speed_halves_nothing_and_gives_up_nothing(venue):
    exchange = Exchange(venue)
    answer, at = exchange._answer, []

    def hasty(message):
        if len(at) < 12 and named_in(message):
            at.append(exchange.now)
            return exchange._error(message) | {"msg": "Too many requests", "message": "rate limit"}
        return answer(message)

    exchange._answer = hasty
    subscriptions = exchange.subscriptions()
    exchange.run(subscriptions)
    assert not subscriptions.given_up
    assert exchange.session.confirmed == exchange.topics()
    assert all(second - first > PAUSE_SECONDS for first, second in pairwise(at[-5:]))
    sizes = {len(named_in(message)) for message in exchange.messages} - {0}
    assert len(sizes) <= 2  # full messages, and the last one


@VENUES
def test_where_nothing_is_answered_at_all_it_says_so(venue):
    exchange = Exchange(venue)
    exchange._answer = lambda message: None
    subscriptions = exchange.subscriptions()
    with pytest.raises(Unreachable, match=f"{len(exchange.topics())} subscriptions were never"):
        exchange.run(subscriptions)
    assert exchange.now < 30


@VENUES
def test_the_reason_is_the_exchanges_own(venue):
    for way, reason in (("error", "[Ii]nvalid"), ("silent", "no answer"), ("left_out", "left out")):
        if (venue, way) == (BinanceStream, "left_out"):
            continue
        exchange = Exchange(venue, {market(venue, 3)}, way)
        subscriptions = exchange.subscriptions()
        exchange.run(subscriptions)
        assert subscriptions.given_up
        assert all(re.search(reason, said) for said in subscriptions.given_up.values())


@VENUES
def test_what_is_removed_in_the_middle_of_a_search_is_asked_for_no_more(venue):
    exchange = Exchange(venue, {market(venue, 3), market(venue, 40)})
    subscriptions = exchange.subscriptions()
    exchange.run(subscriptions, until=lambda: subscriptions.searching)
    gone = {topic for topic in exchange.topics() if exchange.is_bad(topic)}
    subscriptions.remove(gone)
    messages = len(exchange.messages)
    exchange.run(subscriptions)
    later = [each for each in exchange.messages[messages:] if "UNSUB" not in str(each).upper()]
    assert not gone & {topic for message in later for topic in named_in(message)}
    assert exchange.session.confirmed == exchange.topics() - gone
    assert not subscriptions.given_up


@VENUES
def test_who_answers_late_is_believed(venue):
    exchange = Exchange(venue, latency=ACK_SECONDS + 1)
    subscriptions = exchange.subscriptions()
    exchange.run(subscriptions)
    assert not subscriptions.given_up
    assert exchange.session.confirmed == exchange.topics()


def test_what_is_not_listed_any_more_is_asked_for_again():
    exchange = Exchange(BinanceStream)
    subscriptions = exchange.subscriptions()
    exchange.run(subscriptions)
    lost = sorted(exchange.topics())[:3]
    answer = exchange._answer
    exchange._answer = lambda m: (
        {"result": sorted(exchange.topics() - set(lost)), "id": m["id"]}
        if m["method"] == "LIST_SUBSCRIPTIONS"
        else answer(m)
    )
    subscriptions.question()
    messages = len(exchange.messages)
    exchange.run(subscriptions)
    assert [each["method"] for each in exchange.messages[messages:]] == [
        "LIST_SUBSCRIPTIONS",
        "SUBSCRIBE",
    ]
    assert exchange.messages[-1]["params"] == lost
    assert exchange.session.confirmed == exchange.topics()


@settings(max_examples=100, deadline=None)
@given(
    stalls=st.lists(st.tuples(st.floats(0, 8), st.floats(0, 2)), max_size=5),
    latency=st.floats(0, 0.3),
)
def test_however_an_exchange_is_held_up_it_counts_no_more_messages_in_a_second(stalls, latency):
    stream = BinanceStream("ws://x", {})
    session, per_second = stream.session(), stream.limits.messages_per_second
    topics = [f"s{number:04d}usd@kline_1m" for number in range(1000)]
    subscriptions = Subscriptions(session, topics, most_in_a_second=per_second)
    subscriptions._slowest = 5.0  # so that being held up is not taken for silence
    counted, answers, now, next_at = [], [], 0.0, 0.0
    while subscriptions.busy and now < 60:
        if now >= next_at and subscriptions.has_message(now):
            next_at = now + stream.limits.seconds_between_messages
            message = json.loads(subscriptions.next_message(now))
            taken_at = now + latency / 2
            for begins, lasts in sorted(stalls):
                if begins <= taken_at < begins + lasts:
                    taken_at = begins + lasts  # all that came meanwhile is taken in one moment
            counted.append(taken_at)
            answers.append((taken_at + latency / 2, {"result": None, "id": message["id"]}))
        for _, answer in [each for each in answers if each[0] <= now]:
            session.parse(json.dumps(answer).encode())
        answers = [each for each in answers if each[0] > now]
        subscriptions.check(now)
        now += 0.01
    assert not subscriptions.busy
    assert all(later - at > 0.99 for at, later in zip(counted, counted[5:], strict=False))
