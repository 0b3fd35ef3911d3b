"""What something answers that is no exchange is not told on: an address may be anybody's.

Each canary stands where a secret would, in what a service of somebody else says of itself.
"""

import io
import json
from contextlib import suppress

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from exchanges.adapters import ExchangeAdapterFactory
from exchanges.errors import LivermoreError
from exchanges.models import Exchange
from exchanges.stream.connection import Connection
from exchanges.symbols.fetch_listing import fetch_listing
from exchanges.venues.binance.stream import BinanceStream
from tests.exchanges.transport.attacks import Attacker
from warmup.service import SmartWarmupService

pytestmark = pytest.mark.django_db

CANARY = "CanarySaysHello"
WORD = CANARY.encode()


def says(text):
    def attack(client):
        client.sendall(text)

    return attack


def http(status, body, *headers, reason="OK"):
    lines = [f"HTTP/1.1 {status} {reason}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def told_as_json(value):
    return http(200, json.dumps(value).encode(), "Content-Type: application/json")


ANSWERS = {
    "a page": http(200, b"<html>%s</html>" % WORD, "Content-Type: text/html"),
    "a text": http(200, WORD),
    "a kind": http(200, b"?", f"Content-Type: {CANARY}/{CANARY}"),
    "an encoding": http(200, WORD, f"Content-Encoding: {CANARY}"),
    "a text as JSON": told_as_json(CANARY),
    "an object": told_as_json({CANARY: CANARY, "serverTime": CANARY, "epochMillis": CANARY}),
    "a list": told_as_json([CANARY, [CANARY, 1], {"symbol": CANARY}]),
    "a listing": told_as_json({"symbols": [CANARY], "products": [{"x": CANARY}]}),
    "rows": told_as_json({"candles": [{"start": CANARY, CANARY: CANARY}]}),
    "headers": http(500, b"", f"X-Told: {CANARY}", f"Retry-After: {CANARY}"),
    "a redirect": http(302, WORD, f"Location: http://{CANARY}.example/{CANARY}"),
    "a reason": http(404, b"", reason=CANARY),
    "no HTTP": b"-ERR unknown command '%s'\r\n" % WORD * 3,
    "a status": b"HTTP/1.1 %s\r\n\r\n" % WORD,
    "a length": b"HTTP/1.1 200 OK\r\nContent-Length: %s, 5\r\n\r\n" % WORD,
    "a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%s\r\n" % WORD,
    "a header": b"HTTP/1.1 200 OK\r\n%s\r\n\r\n" % WORD,
    **{
        f"{status}": http(status, b'{"%s":"%s"}' % (WORD, WORD), reason=CANARY)
        for status in (400, 401, 403, 404, 418, 429, 451, 500, 503)
    },
    **{
        f"{status}, with a word of an exchange": http(
            status, json.dumps({"message": CANARY, "msg": CANARY}).encode()
        )
        for status in (400, 401, 403, 404, 451, 500)
    },
}


@pytest.fixture(autouse=True)
def no_backoff(monkeypatch):
    monkeypatch.setattr("exchanges.transport.backoff.FIRST_RETRY_SECONDS", 0.001)
    monkeypatch.setattr("exchanges.rest.client.PAUSE_SECONDS", 0.01)
    monkeypatch.setattr("exchanges.rest.pacing.pacer.TURNED_AWAY_SECONDS", 0.0)


def row_at(attacker, venue):
    row = Exchange.objects.create(
        name="foreign", venue=venue, rest_url=attacker.url, ws_url=attacker.ws_url, batch_delay_ms=0
    )
    row.symbols.create(symbol="BTC-USD", native_symbol="BTCUSD", base="BTC", quote="USD")
    row.symbols.update(is_monitored=True, status="trading")
    return row


@pytest.mark.parametrize("venue", ["binance", "coinbase"])
@pytest.mark.parametrize("name", ANSWERS)
def test_no_failure_holds_a_word_of_what_is_no_exchange(redis, venue, name):
    with Attacker(says(ANSWERS[name])) as attacker:
        row = row_at(attacker, venue)
        rest = ExchangeAdapterFactory(redis).rest(row)
        for call in (
            rest.server_time_ms,
            rest.list_symbols,
            lambda: rest.get_candles("BTC-USD", "1d", limit=5),
            lambda: fetch_listing(row),
        ):
            redis.flushall()
            with pytest.raises(LivermoreError) as failure:
                call()
            assert CANARY.lower() not in str(failure.value).lower()
            assert CANARY.lower() not in getattr(failure.value, "fault", "").lower()
        rest.close()


@pytest.mark.parametrize("name", ANSWERS)
def test_no_connection_ends_with_a_word_of_what_is_no_exchange(name):
    with Attacker(says(ANSWERS[name])) as attacker:
        connection = Connection(BinanceStream(attacker.ws_url, {}), ["!miniTicker@arr"])
        connection.start()
        assert connection.ended.wait(15)
    assert CANARY.lower() not in connection.reason.lower()


def test_no_line_of_a_library_holds_headers_that_can_not_be_read(redis, caplog):
    headers = b"%s: %s\r\n%s\r\n: %s\r\n" % (WORD, WORD, WORD, WORD)
    with Attacker(
        says(b"HTTP/1.1 200 OK\r\n" + headers + b"Content-Length: 2\r\n\r\n{}")
    ) as attacker:
        rest = ExchangeAdapterFactory(redis).rest(row_at(attacker, "binance"))
        with pytest.raises(LivermoreError):
            rest.server_time_ms()
        rest.close()
    assert not [each for each in caplog.records if each.exc_info or each.name.startswith("urllib3")]
    assert CANARY not in caplog.text


@pytest.mark.parametrize("name", ["a page", "no HTTP", "a list", "400", "a redirect"])
def test_check_exchange_and_the_page_tell_none_of_it(redis, name, client, admin_user):
    with Attacker(says(ANSWERS[name])) as attacker:
        row = row_at(attacker, "binance")
        out = io.StringIO()
        with suppress(SystemExit, CommandError):
            call_command("check_exchange", row.name, "--json", "--seconds=1", stdout=out)
        rest = ExchangeAdapterFactory(redis).rest(row)
        with suppress(LivermoreError):
            SmartWarmupService(redis, row.pk, rest).warmup(["BTC-USD"])
        rest.close()
    assert '"steps"' in out.getvalue()
    assert CANARY.lower() not in out.getvalue().lower()
    client.force_login(admin_user)
    page = client.get(reverse("network:page"))
    kept = [redis.get(key) for key in redis.keys("*") if redis.type(key) == b"string"]
    assert CANARY not in page.content.decode()
    assert not any(WORD in text for text in kept)


def test_what_the_exchange_itself_says_of_a_refusal_is_told_and_no_more(redis):
    body = json.dumps({"code": -1100, "msg": "Illegal characters", "told": CANARY}).encode()
    with Attacker(says(http(400, body))) as attacker:
        rest = ExchangeAdapterFactory(redis).rest(row_at(attacker, "binance"))
        with pytest.raises(LivermoreError) as failure:
            rest.server_time_ms()
        rest.close()
    assert '{"code":-1100,"msg":"Illegal characters"}' in str(failure.value)
    assert CANARY not in str(failure.value)
