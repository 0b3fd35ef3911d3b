"""A page in somebody's browser asks for what needs no token."""

import base64

import pytest
import websocket

from serving.models import ApiClient
from tests.serving.conftest import ROW, FixedDirectory, say_streamed
from tests.serving.hostile.raw import answers, ask, is_one_line, request
from tests.serving.serving import served

PING = "/sandbox/api/v3/ping"
OTHER = "another origin"
NAME = "no name of this server"
FETCHED = {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}
OPENED = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
# Headers beside those that any program sends, and of a refusal what its text says.
LET_IN = [
    {"Host": "127.0.0.1"}, {"Host": "127.0.0.1:8010"}, {"Host": "[::1]:8010"},
    {"Host": "LOCALHOST:8010"}, {"Host": "localhost."}, {"Host": "bots.localhost:8010"},
    {"Host": "192.168.1.5:8010"},
    {"Host": "127.0.0.1:8010", "Origin": "http://127.0.0.1:8010"},
    {"Host": "localhost:8010", "Origin": "http://LOCALHOST:8010"},
    {"Sec-Fetch-Site": "none"} | OPENED, {"Sec-Fetch-Site": "same-origin"} | FETCHED,
    {"Sec-Fetch-Site": "cross-site"} | OPENED,
]  # fmt: skip
REFUSED = [
    ({"Host": "evil.example"}, NAME), ({"Host": "evil.example:8010"}, NAME),
    ({"Host": "127.0.0.1.evil.example"}, NAME), ({"Host": "localhost.evil.example"}, NAME),
    ({"Host": "evil.example@127.0.0.1"}, NAME), ({"Host": "127.1"}, NAME), ({"Host": ""}, NAME),
    ({"Host": "2130706433"}, NAME), ({"Host": "[::1"}, NAME), ({"Host": "localhost\xff"}, NAME),
    ({"Host": "127.0.0.1:8010/evil.example"}, NAME), ({"Host": "a" * 3000}, NAME),
    ({"Origin": "http://evil.example"}, OTHER), ({"Origin": "null"}, OTHER),
    ({"Origin": "http://127.0.0.1:3000"}, OTHER), ({"Origin": "http://127.0.0.1:80@evil"}, OTHER),
    ({"Origin": "file://"}, OTHER), ({"Origin": ""}, OTHER),
    ({"Sec-Fetch-Site": "cross-site"} | FETCHED, OTHER),
    ({"Sec-Fetch-Site": "same-site"} | FETCHED, OTHER),
    ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script"},
     OTHER),
    ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
     OTHER),
]  # fmt: skip


def ask_as(url, headers, target=PING, token=""):
    """Ask with these headers alone."""
    sent = {"Host": "127.0.0.1"} | headers | ({"Authorization": token} if token else {})
    lines = [f"{name}: {value}".encode("latin1") for name, value in sent.items()]
    head = b"\r\n".join([f"GET {target} HTTP/1.1".encode(), *lines])
    (found,) = answers(url, head + b"\r\n\r\n")
    return found


@pytest.mark.parametrize("headers", LET_IN, ids=str)
def test_programs_and_who_opens_the_address_are_let_in(url, headers):
    found = ask_as(url, headers)
    assert (found.status, found.body) == (200, b"{}")
    assert not [name for name in found.headers if name.startswith("access-control")]


@pytest.mark.parametrize(("headers", "why"), REFUSED, ids=lambda each: str(each)[:60])
def test_pages_of_others_are_not(url, no_fault, headers, why):
    found = ask_as(url, headers)
    assert found.status == 403
    assert why in found.body.decode()
    assert is_one_line(found.body.decode())
    assert found.body.startswith(b'{"code":-1002,"msg":"')


def test_a_question_before_a_request_allows_nothing(url):
    headers = [b"Origin: http://evil.example", b"Access-Control-Request-Method: GET"]
    (found,) = answers(url, request(PING, *headers, method=b"OPTIONS"))
    assert found.status in (403, 405)
    assert not [name for name in found.headers if name.startswith("access-control")]


def test_each_interface_says_it_in_its_own_form(url):
    evil = b"Origin: http://evil.example"
    ours = ask(url, "/v1/exchanges", evil)
    coinbases = ask(url, "/sandbox/api/v3/brokerage/time", evil)
    assert (ours.status, coinbases.status) == (403, 403)
    assert ours.body.startswith(b'{"error":"A web page')
    assert coinbases.body.startswith(b'{"error":"PERMISSION_DENIED","message":"A web page')


def test_a_page_opens_no_socket(redis):
    say_streamed(redis)
    with served(redis, directory=FixedDirectory(ROW)) as url:
        address = url.replace("http", "ws") + "/sandbox/ws"
        with pytest.raises(websocket.WebSocketBadStatusException, match="403"):
            websocket.create_connection(address, timeout=10, origin="http://evil.example")
        websocket.create_connection(address, timeout=10).close()


def test_a_name_that_is_allowed_leads_here(url, settings):
    settings.ALLOWED_HOSTS = ["livermore.example.org"]
    assert ask_as(url, {"Host": "livermore.example.org:8010"}).status == 200
    assert ask_as(url, {"Host": "other.example.org:8010"}).status == 403


@pytest.mark.django_db(transaction=True)
def test_a_token_that_a_browser_does_not_add_by_itself_is_enough(redis):
    client = ApiClient(name="bot")
    token = client.new_token()
    client.save()
    evil = {"Host": "evil.example", "Origin": "http://evil.example"}
    basic = base64.b64encode(f":{token}".encode()).decode()
    with served(redis) as url:
        assert ask_as(url, evil, token=f"Bearer {token}").status == 200
        assert ask_as(url, evil, target=f"/k/{token}{PING}").status == 200
        assert ask_as(url, evil, token=f"Basic {basic}").status == 403
