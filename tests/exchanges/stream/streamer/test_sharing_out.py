"""Which connection carries what, and when each is opened."""

from collections import Counter
from itertools import pairwise

from exchanges.sandbox.binance.settings import BinanceSettings
from exchanges.stream.streamer import Streamer
from exchanges.venues.binance.stream import BinanceStream
from livermore.market.pair import pairs_of
from livermore.market.timeframe import Timeframe
from tests.exchanges.stream.streamer.noted import BTC, ETH, SOL, Notes, eventually, go_live


def test_topics_are_shared_out_at_the_limit_and_none_is_doubled(sandbox, stream):
    server, symbols = sandbox(), [BTC, ETH, SOL]
    streamer, notes = stream(BinanceStream, server.ws_url, symbols[:2], topics_per_connection=8)
    go_live(server, notes, symbols[:2])
    streamer.add(symbols)
    go_live(server, notes, symbols)
    counts = server.streams["binance"]
    assert (counts.open, counts.most_streams) == (3, 8)
    assert counts.subscriptions == Counter(
        ["!miniTicker@arr"]
        + [f"{name}usd@kline_{each}" for name in ("btc", "eth", "sol") for each in Timeframe]
    )
    assert counts.most_messages_per_second <= 5
    assert streamer.counters()["connections"] == 3


def test_connections_are_opened_one_after_the_other(sandbox, stream):
    server, symbols = sandbox(), [BTC, ETH, SOL]
    limits = {"topics_per_connection": 5, "seconds_between_connects": 0.2, "connects_at_once": 1}
    _, notes = stream(BinanceStream, server.ws_url, symbols, **limits)
    go_live(server, notes, symbols)
    attempts = list(server.streams["binance"].attempts)
    assert len(attempts) == 4
    assert all(second - first > 0.18 for first, second in pairwise(attempts))


def test_the_first_few_connections_are_opened_at_once(sandbox, stream):
    server, symbols = sandbox(), [BTC, ETH, SOL]
    limits = {"topics_per_connection": 5, "seconds_between_connects": 1.0, "connects_at_once": 3}
    _, notes = stream(BinanceStream, server.ws_url, symbols, **limits)
    go_live(server, notes, symbols)
    attempts = list(server.streams["binance"].attempts)
    assert len(attempts) == 4
    assert attempts[-1] - attempts[0] > 0.98
    assert attempts[-1] - attempts[-2] > 0.5, "the others did not wait"


def test_a_thousand_symbols_are_asked_for_with_two_seconds_of_pauses():
    names = {f"S{number:04d}-USD": f"S{number:04d}USD" for number in range(1005)}
    streamer, limits = Streamer(BinanceStream("ws://-", names), Notes()), BinanceStream.limits
    streamer.add(names)
    pauses, sandbox = [], BinanceSettings()
    for number, lane in enumerate(streamer._lanes):
        assert streamer._may_connect(), f"{number} were opened at once"
        messages = BinanceStream("ws://-", names).session().subscribe(lane.topics)
        pauses.append((len(messages) - 1) * limits.seconds_between_messages)
        assert len(lane.topics) <= sandbox.ws_streams
        assert max(len(message.encode()) for message in messages) < sandbox.ws_message_bytes
    assert sum(len(lane.topics) for lane in streamer._lanes) == 1 + 6 * 1005
    assert max(pauses) <= 2  # and a second for the exchange
    # One message a second is left for a pong, and a third of the connections for others.
    assert 1 / limits.seconds_between_messages <= sandbox.ws_messages_per_second - 1
    in_5_minutes = limits.connects_at_once + 300 / limits.seconds_between_connects
    assert in_5_minutes < 0.75 * sandbox.ws_connects_per_5_minutes


def test_symbols_come_and_go_without_touching_the_others(sandbox, stream):
    server = sandbox()
    streamer, notes = stream(BinanceStream, server.ws_url, [BTC, ETH])
    go_live(server, notes, [BTC, ETH])
    counts = server.streams["binance"]
    messages, news = counts.messages, len(notes.news)
    streamer.add([SOL, BTC])
    go_live(server, notes, [BTC, ETH, SOL])
    streamer.remove([ETH])
    go_live(server, notes, [BTC, SOL])
    assert notes.news[news:] == [("+", set(pairs_of([SOL]))), ("-", set(pairs_of([ETH])))]
    eventually(lambda: counts.messages == messages + 2)  # one to subscribe, one to unsubscribe
    assert counts.connects == 1
    assert {name[:3] for name in counts.subscriptions} == {"!mi", "btc", "sol"}
    streamer.add([ETH])
    go_live(server, notes, [BTC, ETH, SOL])


def test_a_removed_symbol_makes_room_for_another(sandbox, stream):
    server = sandbox()
    streamer, notes = stream(BinanceStream, server.ws_url, [BTC], topics_per_connection=7)
    go_live(server, notes, [BTC])
    streamer.remove([BTC])
    streamer.add([SOL])
    go_live(server, notes, [SOL])
    assert server.streams["binance"].connects == 1
