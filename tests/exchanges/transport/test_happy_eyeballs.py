"""Which of several addresses is connected to, and how long that takes, over real sockets.

All of 127.0.0.0/8 is this machine, so that one server has as many addresses as a test wants.
"""

import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchanges.transport import happy_eyeballs as families
from exchanges.transport.happy_eyeballs import connect_to_first
from tests.exchanges.transport.wire import black_hole

SECONDS = 5
SOON = 0.15  # less than a turn


@pytest.fixture(autouse=True)
def nothing_is_known(monkeypatch):
    monkeypatch.setattr(families, "_pasts", {})


@pytest.fixture
def server():
    """Serve on the port that each test uses, at 127.0.0.1 and ::1."""
    with socket.create_server(("127.0.0.1", 0)) as four:
        port = four.getsockname()[1]
        with socket.create_server(("::1", port), family=socket.AF_INET6):
            yield port


@pytest.fixture
def dead():
    """Make addresses dead at a port."""
    with ExitStack() as holes:
        yield lambda port, *hosts: [holes.enter_context(black_hole(host, port)) for host in hosts]


@pytest.fixture
def four():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def six():
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        yield server.getsockname()[1]


def connected(port, *addresses, host="exchange.lan", seconds=SECONDS):
    """Return the address that was connected to, and the seconds that it took."""
    begun = time.monotonic()
    with connect_to_first(host, port, addresses, seconds) as wire:
        assert wire.getblocking()
        return wire.getpeername()[0], time.monotonic() - begun


def test_the_first_address_is_taken_where_it_answers(server):
    assert connected(server, "::1", "127.0.0.1")[0] == "::1"
    assert connected(server, "127.0.0.1", "::1", host="other.lan")[0] == "127.0.0.1"


def test_a_dead_family_in_front_costs_a_quarter_of_a_second_once(four, dead):
    dead(four, "::1")
    address, seconds = connected(four, "::1", "127.0.0.1")
    assert address == "127.0.0.1"
    assert 0.2 < seconds < 1
    for _ in range(3):
        assert connected(four, "::1", "127.0.0.1")[1] < SOON


def test_it_is_the_same_the_other_way_round(six, dead):
    dead(six, "127.0.0.1", "127.0.0.2")
    address, seconds = connected(six, "127.0.0.1", "127.0.0.2", "::1")
    assert address == "::1"
    assert seconds < 0.5  # the families take turns: the second of the dead ones isn't waited for
    assert connected(six, "127.0.0.2", "127.0.0.3", "::1")[1] < SOON


def test_who_refuses_is_passed_over_at_once(four):
    address, seconds = connected(four, "::1", "127.0.0.2", "127.0.0.3", "127.0.0.1")
    assert address == "127.0.0.1"
    assert seconds < SOON


def test_a_dead_address_of_the_living_family_is_remembered_too(four, dead):
    dead(four, "127.0.0.2", "127.0.0.3")
    assert connected(four, "127.0.0.2", "127.0.0.3", "127.0.0.1")[1] > 0.4
    assert connected(four, "127.0.0.3", "127.0.0.2", "127.0.0.1")[1] < SOON


def test_what_was_dead_is_tried_again_where_the_winner_is_gone(dead):
    with socket.create_server(("127.0.0.1", 0)) as four:
        port = four.getsockname()[1]
        with black_hole("::1", port):
            assert connected(port, "::1", "127.0.0.1")[0] == "127.0.0.1"
    with socket.create_server(("::1", port), family=socket.AF_INET6):
        address, seconds = connected(port, "::1", "127.0.0.1")
        assert (address, seconds < SOON) == ("::1", True)
        assert connected(port, "127.0.0.1", "::1")[0] == "::1"


def test_one_host_says_nothing_of_another(four, dead):
    dead(four, "::1")
    connected(four, "::1", "127.0.0.1")
    assert connected(four, "::1", "127.0.0.1", host="other.lan")[1] > 0.2


# In a process of its own: in this one, threads of other tests may open and close what they like.
COUNT_OPEN = """
import os, sys
from exchanges.transport.happy_eyeballs import connect_to_first
before = len(os.listdir("/proc/self/fd"))
connect_to_first("exchange.lan", int(sys.argv[1]), sys.argv[2:], 5).close()
print(before, len(os.listdir("/proc/self/fd")))
"""


def test_those_that_lose_are_closed(four, dead):
    addresses = ["::1", "127.0.0.2", "127.0.0.1"]
    dead(four, *addresses[:2])
    command = [sys.executable, "-c", COUNT_OPEN, str(four), *addresses]
    printed = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    before, after = printed.stdout.split()
    assert after == before


def test_where_all_are_silent_time_is_up_for_all_together(four, dead):
    dead(four, "::1", "127.0.0.2")
    begun = time.monotonic()
    with pytest.raises(TimeoutError, match="timed out"):
        connect_to_first("exchange.lan", four, ["::1", "127.0.0.2"], 0.6)
    assert 0.5 < time.monotonic() - begun < 1


def test_where_all_fail_each_is_named_with_its_reason(four):
    with pytest.raises(OSError, match=r"::1: Connection refused; 127\.0\.0\.2: Connection refused"):
        connect_to_first("exchange.lan", four, ["::1", "127.0.0.2"], SECONDS)


def test_a_single_address_tells_its_own_failure(four):
    with pytest.raises(ConnectionRefusedError):
        connect_to_first("exchange.lan", four, ["127.0.0.2"], SECONDS)


def test_a_machine_without_a_family_uses_the_other(four, monkeypatch):
    real = socket.socket

    def without_six(family=socket.AF_INET, *rest, **options):
        if family == socket.AF_INET6:
            raise OSError(97, "Address family not supported by protocol")
        return real(family, *rest, **options)

    monkeypatch.setattr(families.socket, "socket", without_six)
    address, seconds = connected(four, "::1", "127.0.0.1")
    assert (address, seconds < SOON) == ("127.0.0.1", True)


STATES = ("alive", "dead", "refuses")


@settings(max_examples=40, deadline=None)
@given(states=st.lists(st.sampled_from(STATES), min_size=1, max_size=5), rounds=st.integers(1, 3))
def test_whatever_is_dead_a_living_address_is_found(states, rounds):
    addresses = [f"127.0.0.{number}" for number in range(11, 11 + len(states))]
    with ExitStack() as opened, pytest.MonkeyPatch.context() as patch:
        patch.setattr(families, "_pasts", {})
        patch.setattr(families, "STAGGER_SECONDS", 0.01)
        port = opened.enter_context(black_hole("127.0.0.10"))
        for address, state in zip(addresses, states, strict=True):
            if state == "dead":
                opened.enter_context(black_hole(address, port))
            elif state == "alive":
                opened.enter_context(socket.create_server((address, port)))
        alive = {a for a, state in zip(addresses, states, strict=True) if state == "alive"}
        for _ in range(rounds):
            if alive:
                assert connected(port, *addresses)[0] in alive
            else:
                with pytest.raises(OSError):
                    connected(port, *addresses, seconds=0.1)


@pytest.mark.parametrize("order", [*permutations(["::1", "127.0.0.2", "127.0.0.1"])])
def test_the_order_of_the_resolver_does_not_matter(four, dead, order):
    dead(four, "::1", "127.0.0.2")
    address, seconds = connected(four, *order)
    assert (address, seconds < 1) == ("127.0.0.1", True)
