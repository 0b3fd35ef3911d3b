"""No exchange's row makes this machine call what is private: neither by an address in any
spelling, nor by a name that leads elsewhere once it is saved, nor by a redirect.

Each address is refused when a row is saved, and once more, by the same rule, when it is connected
to: the name's answer is checked and then connected to, and asked for no second time. Only the
resolver is played. Which sockets were connected is what Python's own audit hook saw.
`tests/exchanges/test_validators.py`, `tests/exchanges/test_rest_client.py` and
`tests/exchanges/test_connection.py` show parts of it in every run of the tests.
"""

import sys
from contextlib import closing, contextmanager

import pytest
from django.core.exceptions import ValidationError

from exchanges.connection import Connection
from exchanges.errors import LivermoreError
from exchanges.models import Exchange
from exchanges.venues import ExchangeAdapterFactory
from tests.exchanges.test_rest_client import Server
from tests.exchanges.wire import lead
from tests.experiments.outcome import Outcome, faults_of
from tests.warmup.live import MINUTE_MS, Comparison, make_row, running, serve

QUICK = {}
SPELLED = [
    *("127.0.0.2", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "0.0.0.0"),
    *("169.254.169.254", "[fe80::1]", "[fc00::1]", "[::1]", "[::]", "255.255.255.255"),
    *("[::ffff:127.0.0.2]", "[::ffff:a9fe:a9fe]", "[2002:7f00:2::]", "[64:ff9b::10.0.0.1]"),
    *("2130706434", "0x7f000002", "0x7f.2", "017700000002", "0177.0.0.2", "127.2", "127.0.2"),
    *("①②⑦.0.0.2", "127。0。0。2", "localhost", "a.localhost", "box.local", "redis"),
    *("metadata.google.internal", "127.0.0.2.", "LOCALHOST"),
]
NAME = "api.exchange.example"
LEADS_TO = [
    *("127.0.0.1", "::1", "::ffff:127.0.0.1", "10.0.0.1", "169.254.169.254", "fe80::1", "fd00::1"),
    *("0.0.0.0", "100.64.0.1", "64:ff9b::a00:1", ("203.0.114.1", "127.0.0.1")),
]
REDIRECTS = (301, 302, 303, 307, 308)
LONGEST_SECONDS = 10
# What is said to whoever meant it, or that it is no name to a resolver at all.
CLEAR = ("LIVERMORE_PRIVATE_EXCHANGE_HOSTS", "service not known", "not allowed")
_watching = []


def run(redis, folder):
    trials = Trials(redis)
    faults = faults_of("spelled", trials.spelled)
    faults += faults_of("rebound", trials.rebound)
    faults += faults_of("redirected", trials.redirected)
    faults += faults_of("the sandbox", trials.sandbox_still_works)
    return Outcome(
        f"{len(SPELLED)} private hosts in rows, first saved and then, past the form, connected to; "
        f"a public name that leads to {len(LEADS_TO)} other places when it is connected to; "
        f"redirects ({', '.join(map(str, REDIRECTS))}) of REST and of the WebSocket.",
        trials.figures,
        faults,
    )


class Trials:
    """The ways into a private network, one method each: they yield where one was open."""

    def __init__(self, redis):
        self._factory = ExchangeAdapterFactory(redis)
        self._redis = redis
        self.figures = {"rows refused": 0, "connections refused": 0, "sockets connected": 0}

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

    def redirected(self):
        with Server() as server, Server() as other:
            for status in REDIRECTS:
                headers = {"Location": f"{other.url}/stream"}
                server.answer((status, headers, b""))
                for said in self._errors(_row(server.url, server.url.replace("http", "ws", 1))):
                    self.figures["connections refused"] += 1
                    if str(status) not in said and "Redirect" not in said:
                        yield f"a redirect with {status} was answered {said}"
            if other.seen:
                yield f"it followed a redirect to {other.seen}"
            for each in (server, other):
                each.shutdown()

    def sandbox_still_works(self):
        with serve() as sandbox:
            row = make_row(sandbox)
            truth = Comparison(self._redis, sandbox, row)
            with running(self._redis, row):
                truth.wait(sandbox.clock.now_ms() + MINUTE_MS)
                yield from truth.faults(told=False)

    def _refused(self, host, port, may_be_saved):
        """Yield where a row of a host can be saved or connected to."""
        row = _row(f"https://{host}:{port}", f"wss://{host}:{port}")
        refused = set(_refusals(row))
        self.figures["rows refused"] += bool(refused)
        if refused != (set() if may_be_saved else {"rest_url", "ws_url"}):
            yield f"of a row with {host}, what was refused is {sorted(refused)}"
        for said in self._errors(row):
            self.figures["connections refused"] += 1
            if not any(text in said for text in CLEAR):
                yield f"connecting to {host} was answered {said}"

    def _errors(self, row):
        """Return what REST and the WebSocket of a row say, that is not to be had."""
        with closing(self._factory.rest(row)) as rest:
            try:
                said = f"an answer: {rest.server_time_ms()}"
            except LivermoreError as error:
                said = str(error)
        stream = self._factory.stream(row)
        connection = Connection(stream, stream.topics(()))
        connection.start()
        ended = connection.ended.wait(LONGEST_SECONDS)
        connection.close()
        return said, connection.reason if ended else "an open connection"

    def _untouched(self, connected):
        self.figures["sockets connected"] += len(connected)
        if connected:
            yield f"sockets were connected to {connected}"


@contextmanager
def watched_sockets():
    """Collect the addresses that sockets of this process are connected to in the block."""
    if not _watching:
        sys.addaudithook(_see)  # for good: there is no way to take one away
    _watching.append([])
    yield _watching[-1]
    _watching.append(None)


def _see(event, arguments):
    if event == "socket.connect" and _watching[-1] is not None and type(arguments[1]) is tuple:
        _watching[-1].append(arguments[1][:2])


def _refusals(row):
    """Return the fields of a row that its form would refuse."""
    try:
        row.full_clean(validate_unique=False)
    except ValidationError as error:
        return error.message_dict
    return {}


def _row(rest_url, ws_url):
    values = {"venue": "binance", "rest_url": rest_url, "ws_url": ws_url, "batch_delay_ms": 0}
    defaults = values | {"display_name": "Tried"}
    return Exchange.objects.update_or_create(name="tried", defaults=defaults)[0]
