"""How much memory the answers and frames take that are within the limits; as a child's own peak."""

import json
import time

import pytest

from exchanges.stream.wire.frames import MOST_BYTES
from tests.exchanges.transport.attacks import Attacker
from tests.exchanges.transport.victim import victim

MOST_LISTING_MEGABYTES, MOST_STREAM_MEGABYTES = 300, 100
EMOJI = "\U0001f600".encode()
WORDS = b"ab " * 10_300_000
GOOD = {
    "binance": {"symbol": "AB", "status": "TRADING", "baseAsset": "A", "quoteAsset": "B"},
    "coinbase": {"product_id": "A-B", "base_currency_id": "A", "quote_currency_id": "B"},
}
FIELD = {
    "binance": ("symbol", "baseAsset", "quoteAsset", "status"),
    "coinbase": ("product_id", "base_currency_id", "quote_currency_id", "status"),
}
ROWS = {
    "binance": b'{"rateLimits":[],"symbols":[%s]}',
    "coinbase": b'{"products":[%s]}',
}


def good(venue):
    return json.dumps(GOOD[venue]).encode()


def with_field(venue, name, text):
    return json.dumps(GOOD[venue] | {name: "@"}).encode().replace(b"@", text)


def listings(venue):
    """Return listings of some 31 MB, by name, with one good row each."""
    name, base, quote, _ = FIELD[venue]
    rows = {
        "a row of words": b'{"x":"%s"}' % WORDS,
        "a row of words and one emoji": b'{"x":"%s%s"}' % (WORDS[:-10], EMOJI),
        "a base of words": with_field(venue, base, WORDS),
        "a quote of words and one emoji": with_field(venue, quote, WORDS[:-10] + EMOJI),
        "a name of words": with_field(venue, name, WORDS),
        "a row that is words": b'"%s"' % WORDS,
        "refused names": b",".join([b'{"%s":"%s"}' % (name.encode(), WORDS[:75_000])] * 400),
    }
    found = {each: ROWS[venue] % b",".join([good(venue), row]) for each, row in rows.items()}
    if venue == "binance":
        found["limits of words"] = b'{"rateLimits":"%s","symbols":[%s]}' % (WORDS, good(venue))
    return found


def answer(body):
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
    return lambda client: client.sendall(head + body)


@pytest.mark.parametrize("venue", ["binance", "coinbase"])
def test_a_listing_within_the_limits_takes_a_few_times_its_length(venue):
    grew = {}
    for name, body in listings(venue).items():
        with Attacker(answer(body)) as attacker:
            found = victim("listing", attacker.url, venue)
        assert found["text"].startswith(("1 and", "2 and")), (name, found)
        grew[name] = found["grew"]
    assert max(grew.values()) < MOST_LISTING_MEGABYTES, grew


def pages(size, count):
    """Return an attack whose listing has so many pages of so many bytes."""
    sent = []

    def play(client):
        rows = [
            {name: text + str(len(sent) * 500 + row) for name, text in GOOD["coinbase"].items()}
            for row in range(500 if len(sent) < count - 1 else 10)
        ]
        sent.append(rows)
        padded = [row | {"pad": "x" * (size // 500)} for row in rows]
        answer(json.dumps({"products": padded}).encode())(client)

    return play


def test_the_pages_of_a_listing_are_no_longer_together_than_one_answer_may_be():
    with Attacker(pages(29_000_000, 25)) as attacker:
        found = victim("listing", attacker.url, "coinbase")
        assert len(attacker.calls) == 2
    assert found["error"] == "Excessive"
    assert "and those before it were longer than 32 MB in all, and was not read on" in found["text"]
    assert found["grew"] < MOST_LISTING_MEGABYTES
    with Attacker(pages(1_000_000, 25)) as attacker:
        found = victim("listing", attacker.url, "coinbase")
        assert len(attacker.calls) == 25
    assert found["text"] == "12010 and 0"
    assert found["grew"] < MOST_STREAM_MEGABYTES


def test_a_listing_of_very_many_products_is_none():
    with Attacker(pages(100_000, 60)) as attacker:
        found = victim("listing", attacker.url, "coinbase")
    assert found["error"] == "Excessive"
    assert "listed more than 20,000 products" in found["text"]


def framed(payload):
    return b"\x81\x7f" + len(payload).to_bytes(8) + payload


def again_and_again(frame):
    def play(client):
        for _ in range(10):
            client.sendall(frame)
        time.sleep(0.2)

    return play


def frames(venue):
    """Return frames as long as they may be, by name."""
    words = b"ab " * (MOST_BYTES // 3 - 200)
    objects = b",".join(['{"é":"€"}'.encode()] * (MOST_BYTES // 300))
    if venue == "binance":
        kline = (
            b'{"stream":"btcusd@kline_1m","data":{"e":"kline","E":1700000000000,"s":"BTCUSD","k":'
            b'{"t":1700000000000,"i":"1m","o":%s,"c":"1","h":"1","l":"1","v":"1","x":false}}}'
        )
        return {
            "a price": kline % (b'"%s"' % words),
            "a price with an emoji": kline % (b'"%s%s"' % (words, EMOJI)),
            "a time": kline.replace(b"1700000000000", b'"%s"' % words) % b'"1"',
            "an error": b'{"error":{"code":1,"msg":"%s"},"id":1}' % words,
            "an error's code": b'{"error":{"code":["%s"],"msg":""},"id":1}' % words,
            "many objects": b'{"stream":"x","data":[%s]}' % objects,
        }
    ticker = (
        b'{"channel":"ticker_batch","sequence_num":%s,"timestamp":%s,"events":[{"tickers":'
        b'[{"product_id":"BTC-USD","price":%s}]}]}'
    )
    stamp = b'"2026-11-28T13:40:00Z"'
    return {
        "a price": ticker % (b"0", stamp, b'"%s"' % words),
        "a price with an emoji": ticker % (b"0", stamp, b'"%s%s"' % (words, EMOJI)),
        "a number": ticker % (b'"%s"' % words, stamp, b'"1"'),
        "a time": ticker % (b"0", b'"%s"' % words, b'"1"'),
        "an error": b'{"type":"error","message":"%s"}' % words,
        "many objects": b'{"channel":[%s]}' % objects,
    }


@pytest.mark.parametrize("venue", ["binance", "coinbase"])
def test_a_frame_within_the_limits_takes_a_few_times_its_length(venue):
    grew = {}
    for name, payload in frames(venue).items():
        with Attacker(again_and_again(framed(payload)), upgrades=True) as attacker:
            grew[name] = victim("parsing", attacker.ws_url, venue)["grew"]
    assert max(grew.values()) < MOST_STREAM_MEGABYTES, grew
