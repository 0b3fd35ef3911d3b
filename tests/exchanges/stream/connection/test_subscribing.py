"""Subscribing: confirmed, late, never, in turn."""

import json
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise

from exchanges.klines.stream import KlineSession
from exchanges.stream.connection import Connection
from exchanges.stream.events import CandleUpdate
from exchanges.venues.binance.stream import BinanceStream
from tests.exchanges.stream.connection.played import (
    OPENED,
    Received,
    confirm,
    confirm_all,
    end_of,
    eventually,
    read_until,
    tick,
)

MANY = [f"s{number:03d}usd@kline_1m" for number in range(150)]


def test_what_is_never_confirmed_is_singled_out_and_done_without(
    serve, connect, short_timeouts, monkeypatch
):
    at_once = replace(BinanceStream.limits, seconds_between_messages=0.0)
    monkeypatch.setattr(BinanceStream, "limits", at_once)
    dead, asked = {MANY[7], MANY[120]}, []

    def script(client):
        while True:
            with suppress(TimeoutError):
                message = client.recv(timeout=0.05)
                asked.append(set(json.loads(message)["params"]))
                if not asked[-1] & dead:
                    confirm(client, message)
            client.send(tick(1))

    connection = connect(serve(script), MANY)
    eventually(lambda: connection.read() and connection.settled)
    assert connection.opened
    assert set(connection.given_up) == dead
    assert connection.missing() == set()
    assert [len(names) for names in asked[:2]] == [100, 50]
    assert sorted(map(list, asked[-2:])) == [[MANY[7]], [MANY[120]]]


def test_where_nothing_at_all_is_confirmed_the_connection_ends(serve, connect, short_timeouts):
    def script(client):
        while True:
            with suppress(TimeoutError):
                client.recv(timeout=0.05)
            client.send(tick(1))

    connection = connect(serve(script), MANY)
    while not connection.ended.wait(0.005):
        connection.read()
    assert connection.reason == "150 subscriptions were never confirmed"


def test_who_confirms_late_is_not_left(serve, connect, short_timeouts):
    asked = []

    def script(client):
        while True:
            with suppress(TimeoutError):
                message = client.recv(timeout=0.05)
                asked.append(message)
                if len(asked) > 1:
                    confirm(client, message)
            client.send(tick(1))

    connection = connect(serve(script))
    read_until(connection, lambda _: connection.opened)
    assert len(asked) == 2
    assert not connection.ended.wait(0.5)  # three times as long as an answer may take
    assert len(asked) == 2


def test_messages_keep_their_distance(serve, connect):
    received = Received()
    connect(serve(received), [f"s{number}usd@kline_1m" for number in range(350)])
    eventually(lambda: len(received.topics()) == 350)
    assert all(len(message["params"]) <= 100 for message in received.messages)
    assert all(later - earlier > 0.2 for earlier, later in pairwise(received.at))


def test_topics_come_and_go_without_touching_the_others(serve, connect):
    received = Received(tick(1))
    connection = connect(serve(received), ["a@kline_1m", "b@kline_1m"])
    read_until(connection, lambda _: connection.opened)
    connection.add(["b@kline_1m", "c@kline_1m"])
    connection.remove(["a@kline_1m", "z@kline_1m"])
    eventually(lambda: len(received.messages) == 3)
    read_until(connection, lambda _: not connection.session.unacknowledged())
    assert [(each["method"], each["params"]) for each in received.messages[1:]] == [
        ("SUBSCRIBE", ["c@kline_1m"]),
        ("UNSUBSCRIBE", ["a@kline_1m"]),
    ]
    assert connection.topics == {"b@kline_1m", "c@kline_1m"}


def test_what_fell_silent_is_ended_and_asked_for_again(serve, connect):
    received = Received(tick(1))
    connection = connect(serve(received), ["a@kline_1m", "b@kline_1m"])
    read_until(connection, lambda _: connection.opened)
    connection.again(["b@kline_1m", "z@kline_1m"])
    eventually(lambda: len(received.messages) == 3)
    assert [(each["method"], each["params"]) for each in received.messages[1:]] == [
        ("UNSUBSCRIBE", ["b@kline_1m"]),
        ("SUBSCRIBE", ["b@kline_1m"]),
    ]


def test_what_fell_silent_is_left_where_an_hours_messages_run_out(serve, connect, monkeypatch):
    few = replace(BinanceStream.limits, messages_per_hour=2)
    monkeypatch.setattr(BinanceStream, "limits", few)
    received = Received(tick(1))
    connection = connect(serve(received), ["a@kline_1m"])
    read_until(connection, lambda _: connection.opened)
    connection.again(["a@kline_1m"])
    connection.add(["b@kline_1m"])
    eventually(lambda: len(received.messages) == 2)
    assert received.messages[1]["params"] == ["b@kline_1m"]


def test_pings_go_on_where_an_hours_messages_are_used_up(serve, connect, monkeypatch):
    few = replace(BinanceStream.limits, messages_per_hour=2, ping_seconds=0.05)
    monkeypatch.setattr(BinanceStream, "limits", replace(few, seconds_between_messages=0.01))
    monkeypatch.setattr(KlineSession, "ping", lambda session: '{"method": "ping", "id": null}')
    received = Received(tick(1))
    connection = connect(serve(received), ["a@kline_1m"])
    read_until(connection, lambda _: connection.opened)
    connection.add(["b@kline_1m"])
    eventually(lambda: len(received.topics()) == 2)
    connection.add(["c@kline_1m"])
    read_until(connection, lambda _: len(received.messages) > 8)
    assert received.topics() == ["a@kline_1m", "b@kline_1m"]


def test_who_reads_late_gets_the_newest_state_of_an_open_bar(serve, connect):
    frame = {"stream": "btcusd@kline_1m", "data": {"e": "kline", "E": OPENED, "s": "BTCUSD"}}
    bar = {"t": OPENED, "i": "1m", "o": "1", "h": "9999", "l": "1", "c": "1", "x": False}

    def script(client):
        for volume in range(500):
            frame["data"]["k"] = {"t": OPENED, **bar, "v": str(volume)}
            client.send(json.dumps(frame, separators=(",", ":")))
        client.send(tick(1))
        confirm_all(client)

    url = serve(script)
    connection = Connection(BinanceStream(url, {"BTC-USD": "BTCUSD"}), ["btcusd@kline_1m"])
    connection.start()
    eventually(lambda: connection.inbox.received == 502)
    updates = [event for event in connection.read() if isinstance(event, CandleUpdate)]
    assert [update.candle.volume for update in updates] == [499.0]
    connection.close()
    end_of(connection)
