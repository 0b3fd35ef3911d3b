"""Who may read, and how much, with real tokens over a real socket."""

import pytest
import requests
import websocket

from exchanges.models import Exchange
from serving.models import ApiClient
from tests.serving.conftest import say_streamed
from tests.serving.serving import served
from tests.warmup.runners import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


def make(**values):
    client = ApiClient(name="bot", **values)
    token = client.new_token()
    client.save()
    return client, token


def ping(url, path="/sandbox/api/v3/ping", **options):
    return requests.get(url + path, timeout=20, **options)


def test_no_token_is_kept_anywhere(redis):
    _, token = make()
    stored = ApiClient.objects.values().get()
    assert token not in str(stored)
    assert len(token) > 40


@pytest.mark.parametrize("way", ["bearer", "basic", "path"])
def test_a_token_lets_in_from_elsewhere_in_three_ways(redis, way):
    client, token = make()
    with served(redis, is_open=False) as url:
        assert ping(url).status_code == 401
        found = {
            "bearer": lambda: ping(url, headers={"Authorization": f"Bearer {token}"}),
            "basic": lambda: ping(url, auth=("anybody", token)),
            "path": lambda: ping(url, f"/k/{token}/sandbox/api/v3/ping"),
        }[way]()
    assert found.status_code == 200, found.text
    client.refresh_from_db()
    assert client.last_seen_at


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"headers": {"Authorization": "Bearer lm_wrong"}}, "No active API client has this token"),
        ({"headers": {"Authorization": "Digest x"}}, "The Authorization header holds no token"),
        ({"headers": {"Authorization": "Basic ???"}}, "The Authorization header holds no token"),
        ({}, "A token is needed: that of an API client in the admin"),
        ({"params": {"signature": "ab"}}, "Public market data is served here, and no signed call"),
    ],
)
def test_who_has_none_is_told_so_in_the_exchanges_form(redis, options, why):
    with served(redis, is_open=False) as url:
        found = ping(url, **options)
    assert found.status_code == 401
    assert found.json() == {"code": -2015, "msg": why}


def test_a_client_that_is_switched_off_or_has_another_token_is_out_within_seconds(
    redis, monkeypatch
):
    monkeypatch.setattr("serving.directory.SECONDS_BETWEEN_READS", 0.5)
    say_streamed(redis, Exchange.objects.get(name="sandbox").pk)
    client, token = make()
    with served(redis, is_open=False) as url:
        assert ping(url, auth=("", token)).status_code == 200
        address = url.replace("http", "ws") + f"/k/{token}/sandbox/ws"
        socket = websocket.create_connection(address, timeout=20)
        streamed = f"{url}/k/{token}/v1/events?exchange=sandbox"
        events = requests.get(streamed, stream=True, timeout=20)
        client.new_token()
        client.save()
        wait_until(lambda: ping(url, auth=("", token)).status_code == 401)
        kind, data = socket.recv_data()  # what is open ends, too
        assert (kind, int.from_bytes(data[:2], "big")) == (websocket.ABNF.OPCODE_CLOSE, 1008)
        socket.close()
        assert b"".join(events.iter_content(None)) == b"retry: 3000\nid: 0-0\n\n"


def test_more_requests_a_second_than_it_may_send_are_refused_alone(redis):
    _, token = make(requests_per_second=5)
    with served(redis, is_open=False) as url, requests.Session() as session:
        session.auth = ("", token)
        answers = [session.get(f"{url}/sandbox/api/v3/ping", timeout=20) for _ in range(60)]
    refused = [each for each in answers if each.status_code == 429]
    assert {each.status_code for each in answers} == {200, 429}
    assert refused[0].headers["Retry-After"] == "1"
    assert refused[0].json()["code"] == -1003


def test_more_sockets_than_it_may_open_are_refused(redis):
    say_streamed(redis, Exchange.objects.get(name="sandbox").pk)
    _, token = make(sockets=2)
    with served(redis, is_open=False) as url:
        address = url.replace("http", "ws") + f"/k/{token}/sandbox/ws"
        open_ones = [websocket.create_connection(address, timeout=20) for _ in range(2)]
        with pytest.raises(websocket.WebSocketBadStatusException, match="429"):
            websocket.create_connection(address, timeout=20)
        open_ones.pop().close()
        open_ones.append(websocket.create_connection(address, timeout=20))
        for each in open_ones:
            each.close()
