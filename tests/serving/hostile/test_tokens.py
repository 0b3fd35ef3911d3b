"""Tokens that are none, that are guessed, and that are sent twice; none is ever told to anybody."""

import base64
import logging

import pytest
import requests

from livermore.market import keys
from serving.limits import guesses
from serving.limits.guesses import place_of
from serving.models import ApiClient
from tests.serving.hostile.raw import answers, is_one_line, request
from tests.serving.serving import served
from warmup.network.readers import read_reports

pytestmark = pytest.mark.django_db(transaction=True)

PING = "/sandbox/api/v3/ping"
METRICS = "a-token-of-thirty-two-characters"


def make(name="bot", **values):
    client = ApiClient(name=name, **values)
    token = client.new_token()
    client.save()
    return client, token


def basic(text):
    return b"Authorization: Basic " + base64.b64encode(text)


NO_TOKENS = [
    b"Authorization:", b"Authorization: Bearer", b"Authorization: Bearer  ",
    b"Authorization: Basic", b"Authorization: Basic ====", b"Authorization: Basic \xff\xfe",
    b"Authorization: Basic \xc3\xa9",
    b"Authorization: Bearer \xff\xfe", b"Authorization: Bearer " + "é🦄".encode(),
    b"Authorization: Bearer " + b"a" * 5000, b"Authorization: Digest x", b"Authorization: x",
    basic(b""), basic(b":"), basic(b"no colon"), basic(b"\xff:\xff"), basic(b":" + b"a" * 3000),
    basic(b":a\x00b"), basic(b":a\r\nb"), b"Authorization: Basic " + b"A" * 5001,
    b"Authorization: bearer\tx",
]  # fmt: skip


def test_what_is_no_token_lets_nobody_in(redis, caplog):
    with served(redis, is_open=False) as url:
        for each in NO_TOKENS:
            (found,) = answers(url, request(PING, each))
            assert found.status in (401, 429), (each, found)
            assert is_one_line(found.body.decode())
            assert found.body.startswith((b'{"code":-2015,"msg":', b'{"code":-1003,"msg":'))
            assert (found.status == 401) == ("www-authenticate" in found.headers)
        for path in ("/k/%FF" + PING, "/k/%00" + PING, "/k/" + "a" * 3000 + PING, "/k/.." + PING):
            (found,) = answers(url, request(path))
            assert found.status in (401, 404, 429), (path, found)
            assert is_one_line(found.body.decode())
    assert [each for each in caplog.records if each.levelno > logging.DEBUG] == []


def test_who_is_not_let_in_is_told_how_to_prove_who_it_is(redis):
    paths = [
        *(PING, "/sandbox/api/v3/brokerage/time", "/sandbox/v2/time", "/v1/exchanges", "/nowhere"),
        "/sandbox/ws",
    ]
    with served(redis, is_open=False, metrics_token=METRICS) as url:
        found = [requests.get(url + each, timeout=10) for each in [*paths, "/metrics"]]
        wrong = requests.get(url + PING, headers={"Authorization": "Bearer lm_x"}, timeout=10)
    assert {each.status_code for each in [*found, wrong]} == {401}
    told = {each.headers.get("WWW-Authenticate") for each in [*found[:-1], wrong]}
    assert told == {'Bearer realm="candles"'}
    assert found[-1].headers["WWW-Authenticate"] == 'Bearer realm="metrics"'
    with served(redis) as url:
        signed = requests.get(f"{url}/sandbox/api/v3/account?signature=x", timeout=10)
        unsigned = requests.get(f"{url}/{PING}?signature=x", timeout=10)
    assert "WWW-Authenticate" in signed.headers
    assert "WWW-Authenticate" in unsigned.headers


def test_a_token_is_one_however_its_path_is_written(redis):
    _, token = make()
    spelled = "".join(f"%{ord(each):02x}" for each in token)
    with served(redis, is_open=False) as url:
        assert answers(url, request(f"/k/{spelled}{PING}"))[0].status == 200
        both = answers(url, request(f"/k/{token}{PING}", b"Authorization: Bearer other"))
        assert both[0].status == 200  # libraries add headers by themselves, from .netrc
        wrong = answers(url, request(f"/k/other{PING}", f"Authorization: Bearer {token}".encode()))
        assert wrong[0].status == 401
        twice = [f"Authorization: Bearer {each}".encode() for each in ("other", token)]
        assert answers(url, request(PING, *twice))[0].status in (400, 401)


def test_who_guesses_is_slowed_down_and_others_at_that_address_are_not(redis):
    _, known = make("known")
    _, late = make("late")
    with served(redis, is_open=False) as url, requests.Session() as session:

        def ask(token):
            return session.get(url + PING, headers={"Authorization": f"Bearer {token}"}, timeout=10)

        assert ask(known).status_code == 200
        old = [ask("lm_one-that-is-no-more").status_code for _ in range(50)]
        assert set(old) == {401}  # a program that goes on with an old one guesses nothing
        statuses = [ask(f"lm_guess-{number}").status_code for number in range(30)]
        assert statuses == [401] * (guesses.MOST - 1) + [429] * (31 - guesses.MOST)
        refused = ask("lm_another")
        assert 0 < int(refused.headers["Retry-After"]) <= guesses.SECONDS + 1
        assert refused.json() == {"code": -1003, "msg": "Too many wrong tokens came from 127.0.0.1"}
        assert ask(late).status_code == 429  # a right guess is one, too
        assert ask(known).status_code == 200
        assert ask("lm_one-that-is-no-more").status_code == 401


def test_a_server_that_begins_anew_knows_who_came_from_there(redis, monkeypatch):
    _, known = make("known")
    _, late = make("late")
    monkeypatch.setattr(guesses, "MOST", 1)
    with served(redis, is_open=False) as url:
        assert requests.get(f"{url}/k/{known}{PING}", timeout=10).status_code == 200
    with served(redis, is_open=False) as url:
        tokens = ("wrong", "another", known, late)
        found = [requests.get(f"{url}/k/{each}{PING}", timeout=10).status_code for each in tokens]
    assert found == [401, 429, 200, 429]


def test_guesses_are_counted_over_all_processes(redis):
    _, late = make("late")
    with served(redis, is_open=False) as first, served(redis, is_open=False) as second:

        def ask(url, token):
            return requests.get(f"{url}/k/{token}{PING}", timeout=10).status_code

        found = [ask((first, second)[number % 2], f"guess-{number}") for number in range(20)]
        assert found == [401] * guesses.MOST + [429] * (20 - guesses.MOST)
        assert [ask(url, "guess-0") for url in (first, second)] == [401, 401]
        assert [ask(url, late) for url in (first, second)] == [429, 429]


def test_guesses_of_the_token_of_metrics_are_counted_with_the_others(redis):
    _, late = make("late")

    def ask(url, token):
        headers = {"Authorization": f"Bearer {token}"}
        return requests.get(f"{url}/metrics", headers=headers, timeout=10)

    options = {"is_open": False, "metrics_token": METRICS}
    with served(redis, **options) as first, served(redis, **options) as second:
        found = [ask((first, second)[number % 2], f"guess-{number}") for number in range(20)]
        statuses = [each.status_code for each in found]
        assert statuses == [401] * guesses.MOST + [429] * (20 - guesses.MOST)
        assert found[-1].json() == {"error": "Too many wrong tokens came from 127.0.0.1"}
        assert 0 < int(found[-1].headers["Retry-After"]) <= guesses.SECONDS
        assert ask(first, METRICS).status_code == 429  # a right guess is one, too
        assert requests.get(f"{first}/k/{late}{PING}", timeout=10).status_code == 429
    redis.delete(keys.guesses("127.0.0.1"))
    with served(redis, **options) as url:
        assert ask(url, METRICS).status_code == 200
        assert {ask(url, f"guess-{number}").status_code for number in range(20)} == {401, 429}
        assert ask(url, METRICS).status_code == 200


@pytest.mark.parametrize(
    ("remote", "place"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        (None, "unknown"),
        ("", "unknown"),
    ],
)
def test_one_client_has_one_address(remote, place):
    assert place_of(remote) == place


def test_no_token_is_in_the_log_in_metrics_or_on_the_network_page(redis, caplog):
    caplog.set_level(logging.DEBUG)
    _, token = make()
    wrong = "lm_somebody-elses-token"
    with served(redis, is_open=False, metrics_token=METRICS) as url:
        for each in (token, wrong):
            for path in (PING, "/v1/status?exchange=sandbox", "/sandbox/ws", "/nowhere", "/%FF"):
                found = answers(url, request(f"/k/{each}{path}"))
                assert each not in str(found)
            answers(url, f"GET /k/{each}{PING} HTTP/9.9\r\n\r\n".encode())
            answers(url, request(f"/k/{each}{PING}", b"Nonsense"))
            answers(url, request(f"/k/{each}/" + "a" * 70_000))
        bearer = {"Authorization": f"Bearer {METRICS}"}
        metrics = requests.get(f"{url}/metrics", headers=bearer, timeout=10).text
        told = str(read_reports(redis))
    for text in (metrics, told, *(each.getMessage() for each in caplog.records), caplog.text):
        assert token not in text and wrong not in text
    assert [each for each in caplog.records if each.levelno >= logging.WARNING] == []


def test_the_token_of_metrics_may_be_any_bytes(redis):
    with served(redis, metrics_token=METRICS) as url:
        for each in (b"Bearer \xff", b"Basic x", b"", b"Bearer", b"Bearer " + b"a" * 5000):
            (found,) = answers(url, request("/metrics", b"Authorization: " + each))
            assert (found.status, is_one_line(found.body.decode())) == (401, True)
            assert found.headers["www-authenticate"].startswith("Bearer")
