"""What is read of serve over HTTP: connections, tokens, and what is no answer of serve."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import livermore_reader
import pytest
from livermore_reader import BadRequest, Unavailable

from serving.models import ApiClient
from tests.fixtures.ports import free_port
from tests.serving.conftest import Filled, FixedDirectory, say_streamed
from tests.serving.serving import served

SECRET = "lm_S3cr-et"
CANDLES = ("sandbox", "BTC-USD", "1h", 5)


@contextmanager
def answering(*answers):
    """Serve prepared answers, `(status, headers, body)` each, the last one again and again."""
    left, seen = list(answers), []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            seen.append((self.client_address, self.path, self.headers.get("Authorization")))
            status, headers, body = left.pop(0) if len(left) > 1 else left[0]
            if status is None:
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


NONE = b'{"exchanges":[]}'


def refused(url, token=None):
    """Return what is raised for a question, whose text is one line without a secret."""
    with livermore_reader.connect(url, token) as lm, pytest.raises(Exception) as caught:
        lm.exchanges()
    text = str(caught.value)
    assert "\n" not in text and SECRET not in text and len(text) < 700, text
    return caught.value


def test_a_connection_is_kept_and_a_token_is_sent_with_each_request():
    with answering((200, {}, NONE)) as (url, seen):
        lm = livermore_reader.connect(f"{url}/behind/", SECRET)
        assert [lm.exchanges() for _ in range(3)] == [[], [], []]
        lm.close()
    (once,) = {*seen}
    assert once[1:] == ("/behind/v1/exchanges?", f"Bearer {SECRET}")


def test_the_password_of_an_address_is_the_token():
    with answering((200, {}, NONE)) as (url, seen):
        lm = livermore_reader.connect(url.replace("//", f"//any:{SECRET}@"))
        lm.exchanges()
        lm.close()
    assert seen[0][2] == f"Bearer {SECRET}"


def test_a_connection_that_was_ended_meanwhile_is_made_anew():
    with answering((200, {}, NONE), (None, {}, b""), (200, {}, NONE)) as (url, seen):
        lm = livermore_reader.connect(url)
        assert lm.exchanges() == lm.exchanges() == []
        lm.close()
    assert len({address for address, *_ in seen}) == 2


def test_one_that_ends_each_connection_is_asked_no_longer():
    with answering((None, {}, b"")) as (url, seen):
        assert isinstance(refused(url), Unavailable)
    assert len(seen) == 1


def test_who_asks_too_often_waits_as_long_as_it_is_told():
    busy = 429, {"Retry-After": "1"}, b'{"error":"a may send 1 requests a second"}'
    with answering(busy, (200, {}, NONE)) as (url, seen), livermore_reader.connect(url) as lm:
        assert lm.exchanges() == []
    assert len(seen) == 2


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        ((429, {"Retry-After": "60"}, b'{"error":"Too many"}'), Unavailable, "Too many"),
        ((503, {}, b'{"error":"the cache\\ncan\'t be read"}'), Unavailable, "the cache can't"),
        ((502, {}, b"<html>Bad gateway"), Unavailable, "answers 502, and not as serve does"),
        ((200, {}, b"<html>hello"), Unavailable, "answers 200, and not as serve does"),
        ((200, {}, b'{"other": 1}'), Unavailable, "not as this version of the reader expects"),
        ((200, {}, b'{"exchanges": [{}]}'), Unavailable, "not as this version of the reader"),
        ((301, {"Location": f"/k/{SECRET}"}, b""), Unavailable, "answers 301"),
        ((401, {}, b'{"error":"A token is needed"}'), BadRequest, "A token is needed"),
        ((404, {}, b'{"error":"There is no such path"}'), BadRequest, "no such path"),
    ],
)
def test_what_is_refused_is_one_line(answer, kind, words):
    with answering(answer) as (url, _):
        error = refused(url, SECRET)
    assert isinstance(error, kind) and words in str(error)


@pytest.mark.parametrize(
    "url",
    [
        "http://", "http://:8010", "http://127.0.0.1:port", "http://[::1", "https://h:99999",
        f"http://127.0.0.1/k/{SECRET}\x00/", f"http://127.0.0.1/?token={SECRET}",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused_at_once(url):
    with pytest.raises(BadRequest) as caught:
        livermore_reader.connect(url)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("token", [f"{SECRET}\r\nX: 1", f"{SECRET} ", f"{SECRET}ü"])
def test_a_token_that_can_be_none_is_refused_at_once(token):
    with pytest.raises(BadRequest) as caught:
        livermore_reader.connect("http://127.0.0.1:1", token)
    assert SECRET not in str(caught.value)


def test_nobody_there_is_one_line():
    url = f"http://any:{SECRET}@127.0.0.1:{free_port()}"
    assert "Connection refused" in str(refused(url))
    assert isinstance(refused(url), Unavailable)


def test_no_tls_is_one_line():
    with answering((200, {}, NONE)) as (url, _):
        assert "there is no trusted TLS" in str(refused(url.replace("http:", "https:"), SECRET))


@pytest.mark.django_db(transaction=True)
def test_a_token_lets_in_and_a_wrong_one_is_one_line(redis):
    client = ApiClient(name="notebook")
    token = client.new_token()
    client.save()
    past = Filled(redis)
    say_streamed(redis)
    with served(redis, directory=FixedDirectory(), is_open=False) as url:
        with livermore_reader.connect(url, token) as lm:
            assert lm.rows(*CANDLES) == [each.row() for each in past.candles[-5:]]
        for wrong in (None, SECRET):
            error = refused(url, wrong)
            assert isinstance(error, BadRequest) and "lets nobody in" in str(error)


def test_many_are_asked_at_once_over_connections_that_are_kept(redis):
    past = Filled(redis)
    say_streamed(redis)
    with served(redis, directory=FixedDirectory()) as url, livermore_reader.connect(url) as lm:
        threads, found = [], []
        for _ in range(8):
            threads.append(
                threading.Thread(target=lambda: found.extend(lm.rows(*CANDLES) for _ in range(10)))
            )
            threads[-1].start()
        for thread in threads:
            thread.join(20)
    assert found == [[each.row() for each in past.candles[-5:]]] * 80


def test_it_goes_on_where_serve_was_started_anew(redis):
    past, port = Filled(redis), free_port()
    say_streamed(redis)
    with livermore_reader.connect(f"http://127.0.0.1:{port}") as lm:
        for _ in range(2):
            with served(redis, port=port, directory=FixedDirectory()):
                assert lm.rows(*CANDLES) == [each.row() for each in past.candles[-5:]]
        with pytest.raises(Unavailable):
            lm.rows(*CANDLES)
