"""Silence: what is quiet, and what is dead."""

import json
import threading
import time
from itertools import pairwise

from websockets.frames import Opcode

from exchanges.stream.connection import Connection
from exchanges.venues.coinbase.stream import CoinbaseStream
from tests.exchanges.stream.connection.played import (
    ACKNOWLEDGED,
    WAIT_SECONDS,
    confirm,
    confirm_all,
    end_of,
    eventually,
    read_until,
    serialized,
    tick,
    told,
)


def test_pings_alone_keep_a_quiet_connection(serve, connect, short_timeouts):
    pings = []

    def script(client):
        confirm(client, client.recv())
        while True:
            pings.append(client.ping().wait(0.05))

    connection = connect(serve(script))
    began = time.monotonic()
    eventually(lambda: connection.read() or time.monotonic() > began + 2)
    assert not connection.ended.is_set()
    assert len(pings) > 10


def test_where_not_even_pings_come_it_pings_itself_and_stays_as_long_as_it_is_answered(
    serve_bytes, connect, short_timeouts
):
    asked = []

    def script(client):
        while frame := client.recv(200):
            opcode = frame[0] & 0x0F
            if opcode == Opcode.PING:
                asked.append(time.monotonic())
                client.sendall(serialized(b"", Opcode.PONG))
            elif opcode == Opcode.CLOSE:
                return

    connection = connect(serve_bytes(script), topics=())
    eventually(lambda: len(asked) >= 4)
    assert all(0.4 <= later - earlier < 1.5 for earlier, later in pairwise(asked))
    assert not connection.ended.is_set()


def test_a_connection_without_a_sign_of_life_is_left(serve_bytes, connect, short_timeouts):
    over = threading.Event()
    connection = connect(serve_bytes(lambda client: over.wait(WAIT_SECONDS)), topics=())
    assert end_of(connection).startswith("no sign of life for ")
    over.set()


def test_where_heartbeats_are_subscribed_silence_is_no_quiet(serve, short_timeouts):
    def script(client):
        message = json.loads(client.recv())
        assert message["channel"] == "heartbeats"
        client.send(ACKNOWLEDGED)
        while True:
            client.ping().wait(0.05)

    connection = Connection(CoinbaseStream(serve(script), {"A-USD": "A-USD"}), ["candles:A-USD"])
    connection.start()
    eventually(lambda: [connection.read(), connection.ended.is_set()][1])
    assert connection.reason.startswith("no data for ")


def test_who_speaks_now_and_then_is_not_silent(serve, connect, short_timeouts):
    def script(client):
        confirm(client, client.recv())
        for number in range(16):
            client.send(tick(number))
            time.sleep(0.05)  # an eighth of what would be silence; in all twice as long
        confirm_all(client)

    connection = connect(serve(script))
    read_until(connection, lambda events: told(events)[-1:] == [15])
    assert not connection.ended.is_set()
