"""No exchange's row makes this machine call what is private: neither by an address in any
spelling, nor by a name that leads elsewhere once it is saved, nor by a redirect.

Each address is refused when a row is saved, and once more, by the same rule, when it is connected
to: the name's answer is checked and then connected to, and asked for no second time. A name that
leads to a public address and inside by turns shows that. Only the resolver is played. Which sockets
were connected is what Python's own audit hook saw, which also keeps them on this machine.
`tests/exchanges/test_validators.py`, `tests/exchanges/rest/test_client.py` and
`tests/exchanges/stream/connection/test_connecting.py` show parts of it in every run of the tests.
"""

import sys
from contextlib import closing, contextmanager
from itertools import cycle, islice

import pytest
from django.core.exceptions import ValidationError

from exchanges.adapters import ExchangeAdapterFactory
from exchanges.errors import LivermoreError
from exchanges.models import Exchange
from exchanges.stream.connection import Connection
from exchanges.transport import backoff
from tests.exchanges.rest.test_client import Server
from tests.exchanges.transport.wire import lead
from tests.experiments.outcome import Outcome, faults_of
from tests.warmup.runners import MINUTE_MS, Comparison, make_row, running, serve

QUICK = {}
SPELLED = [
    *("127.0.0.2", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "0.0.0.0"),
    *("169.254.169.254", "[fe80::1]", "[fc00::1]", "[::1]", "[::]", "255.255.255.255"),
    *("[::ffff:127.0.0.2]", "[::ffff:a9fe:a9fe]", "[2002:7f00:2::]", "[64:ff9b::10.0.0.1]"),
    *("2130706434", "0x7f000002", "0x7f.2", "017700000002", "0177.0.0.2", "127.2", "127.0.2"),
    *("①②⑦.0.0.2", "127。0。0。2", "localhost", "a.localhost", "box.local", "redis"),
    *("metadata.google.internal", "127.0.0.2.", "LOCALHOST", "224.0.0.1", "240.0.0.1"),
    *("198.18.0.1", "192.0.0.1", "[ff02::1]", "[fec0::1]", "[2001:db8::1]", "[::127.0.0.2]"),
    *("[2001::80ff:fffd]", "[64:ff9b:1::a00:1]", "[::ffff:0:127.0.0.2]"),
]
NAME = "api.exchange.example"
LEADS_TO = [
    *("127.0.0.1", "::1", "::ffff:127.0.0.1", "10.0.0.1", "169.254.169.254", "fe80::1", "fd00::1"),
    *("0.0.0.0", "100.64.0.1", "64:ff9b::a00:1", "224.0.0.1", ("203.0.114.1", "127.0.0.1")),
]
PUBLIC = "203.0.114.1"  # answers nobody here, as no call leaves this machine
TURNS = 50  # more than a name is asked for
REDIRECTS = (301, 302, 303, 307, 308)
LONGEST_SECONDS = 10
# What is said to whoever meant it, or that it is no name to a resolver at all.
CLEAR = ("LIVERMORE_PRIVATE_EXCHANGE_HOSTS", "service not known", "not allowed")
_watching = []


def run(redis, folder):
    trials = Trials(redis)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backoff, "FIRST_RETRY_SECONDS", 0.01)
        faults = faults_of("spelled", trials.spelled)
        faults += faults_of("rebound", trials.rebound)
        faults += faults_of("rebound by turns", trials.rebound_by_turns)
        faults += faults_of("redirected", trials.redirected)
        faults += faults_of("the sandbox", trials.sandbox_still_works)
    return Outcome(
        f"{len(SPELLED)} private hosts in rows, first saved and then, past the form, connected to; "
        f"a public name that leads to {len(LEADS_TO)} other places when it is connected to, and "
        "one that leads inside every other time; "
        f"redirects ({', '.join(map(str, REDIRECTS))}) of REST and of the WebSocket.",
        trials.numbers,
        faults,
    )


class Trials:
    """The ways into a private network, one method each: they yield where one was open."""

    def __init__(self, redis):
        self._factory = ExchangeAdapterFactory(redis)
        self._redis = redis
        self.numbers = {
            "rows refused": 0,
            "connections refused": 0,
            "sockets connected": 0,
            "redirects not followed": 0,
            "connections to the public address of a name that leads inside, too": 0,
        }

    def spelled(self):
        with Server() as server, watched_sockets() as connected:
            for host in SPELLED:
                with pytest.MonkeyPatch.context() as patch:
                    if host[-1].isalpha():  # nobody beyond this machine shall be asked for a name
                        lead(patch, host.lower(), "127.0.0.1")
                    yield from self._refused(host, server.server_port, may_be_saved=False)
            yield from self._untouched(connected)
            server.shutdown()

    def rebound(self):
        with Server() as server:
            for answer in LEADS_TO:
                with watched_sockets() as connected, pytest.MonkeyPatch.context() as patch:
                    lead(patch, NAME, answer)
                    yield from self._refused(NAME, server.server_port, may_be_saved=True)
                    yield from self._untouched(connected)
            server.shutdown()

    def rebound_by_turns(self):
        """Let each question after a name be answered otherwise than the one before it."""
        with Server() as server:
            for first in range(2):
                answers = list(islice(cycle([PUBLIC, "127.0.0.1"]), first, first + TURNS))
                with watched_sockets() as connected, pytest.MonkeyPatch.context() as patch:
                    lead(patch, NAME, *answers)
                    said = self._errors(_row(*_urls(NAME, server.server_port)))
                outward = [address for address in connected if address[0] == PUBLIC]
                self.numbers[
                    "connections to the public address of a name that leads inside, too"
                ] += len(outward)
                if not outward:
                    yield f"the public address was not connected to, so this shows nothing: {said}"
                if inward := [address for address in connected if address[0] != PUBLIC]:
                    yield f"sockets were connected to {inward}"
            if server.seen:
                yield f"the private address was asked for {server.seen}"
            server.shutdown()

    def redirected(self):
        with Server() as server, Server() as other:
            for status in REDIRECTS:
                row = _row(server.url, _ws(server.url))
                server.answer((status, {"Location": f"{other.url}/x"}, b""))
                answers = [self._error_of_rest(row)]
                server.answer((status, {"Location": f"{_ws(other.url)}/x"}, b""))
                answers.append(self._error_of_stream(row))
                for said in answers:
                    if str(status) in said or "Redirect" in said:
                        self.numbers["redirects not followed"] += 1
                    else:
                        yield f"a redirect with {status} was answered {said}"
            if other.seen:
                yield f"it followed a redirect to {other.seen}"
            for each in (server, other):
                each.shutdown()

    def sandbox_still_works(self):
        with serve(speed=60) as sandbox:
            row = make_row(sandbox)
            truth = Comparison(self._redis, sandbox, row)
            with running(self._redis, row):
                truth.wait(sandbox.clock.now_ms() + MINUTE_MS)
                yield from truth.faults(told=False)

    def _refused(self, host, port, may_be_saved):
        """Yield where a row of a host can be saved or connected to."""
        row = _row(*_urls(host, port))
        refused = set(_refusals(row))
        self.numbers["rows refused"] += bool(refused)
        if refused != (set() if may_be_saved else {"rest_url", "ws_url"}):
            yield f"of a row with {host}, what was refused is {sorted(refused)}"
        for said in self._errors(row):
            if any(text in said for text in CLEAR):
                self.numbers["connections refused"] += 1
            else:
                yield f"connecting to {host} was answered {said}"

    def _errors(self, row):
        """Return what REST and the WebSocket of a row say, that is not to be had."""
        return self._error_of_rest(row), self._error_of_stream(row)

    def _error_of_rest(self, row):
        with closing(self._factory.rest(row)) as rest:
            try:
                return f"an answer: {rest.server_time_ms()}"
            except LivermoreError as error:
                return str(error)

    def _error_of_stream(self, row):
        stream = self._factory.stream(row)
        connection = Connection(stream, stream.topics(()))
        connection.start()
        ended = connection.ended.wait(LONGEST_SECONDS)
        connection.close()
        return connection.reason if ended else "an open connection"

    def _untouched(self, connected):
        self.numbers["sockets connected"] += len(connected)
        if connected:
            yield f"sockets were connected to {connected}"


@contextmanager
def watched_sockets():
    """Collect the addresses that sockets of this process are connected to in the block.

    They are refused any that is not on this machine, as if nobody answered there.
    """
    if not _watching:
        sys.addaudithook(_see)  # for good: there is no way to take one away
    _watching.append([])
    try:
        yield _watching[-1]
    finally:
        _watching.append(None)


def _see(event, arguments):
    if event != "socket.connect" or _watching[-1] is None or type(arguments[1]) is not tuple:
        return
    _watching[-1].append(arguments[1][:2])
    if not arguments[1][0].startswith("127."):
        raise ConnectionRefusedError("it is not on this machine")


def _refusals(row):
    """Return the fields of a row that its form would refuse."""
    try:
        row.full_clean(validate_unique=False)
    except ValidationError as error:
        return error.message_dict
    return {}


def _ws(url):
    return url.replace("http", "ws", 1)


def _urls(host, port):
    return f"https://{host}:{port}", f"wss://{host}:{port}"


def _row(rest_url, ws_url):
    values = {"venue": "binance", "rest_url": rest_url, "ws_url": ws_url, "batch_delay_ms": 0}
    defaults = values | {"display_name": "Tried"}
    return Exchange.objects.update_or_create(name="tried", defaults=defaults)[0]
