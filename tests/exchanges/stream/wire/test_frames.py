import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from exchanges.errors import Excessive, Unreachable
from exchanges.stream.wire.frames import BINARY, CLOSE, PING, TEXT, Frames

MOST = 1000


def serialized(payload, opcode=Opcode.TEXT, fin=True):
    return Frame(opcode, payload, fin).serialize(mask=False)


def in_pieces(sent, sizes):
    for size in sizes:
        yield sent[:size]
        sent = sent[size:]
    yield sent


@settings(deadline=None)
@given(
    messages=st.lists(
        st.tuples(
            st.sampled_from([Opcode.TEXT, Opcode.BINARY]),
            st.lists(st.binary(max_size=200), min_size=1, max_size=4),
            st.booleans(),
        ),
        max_size=5,
    ),
    sizes=st.lists(st.integers(0, 150), max_size=12),
)
def test_messages_come_whole_and_in_order_however_they_are_cut(messages, sizes):
    sent, expected = b"", []
    for opcode, fragments, pinged in messages:
        for number, fragment in enumerate(fragments):
            last = number == len(fragments) - 1
            sent += serialized(fragment, Opcode.CONT if number else opcode, last)
            if pinged and not last:
                sent += serialized(b"!", Opcode.PING)
                expected.append((PING, b"!"))
        expected.append((int(opcode), b"".join(fragments)))
    frames, found = Frames(MOST), []
    for piece in in_pieces(sent, sizes):
        found += frames.feed(piece)
    assert found == expected
    assert frames.fault is None
    assert not frames.is_within


@settings(deadline=None)
@given(octets=st.binary(max_size=300), sizes=st.lists(st.integers(0, 50), max_size=5))
def test_whatever_comes_is_a_message_or_a_fault(octets, sizes):
    frames = Frames(MOST)
    for piece in in_pieces(octets, sizes):
        for opcode, payload in frames.feed(piece):
            assert opcode in (TEXT, BINARY, CLOSE, PING, 10)
            assert len(payload) <= MOST


@pytest.mark.parametrize(
    "head",
    [
        b"\x81\x7f" + (2**62).to_bytes(8),
        b"\x82\x7f" + (2**64 - 1).to_bytes(8),
        b"\x81\x7f" + (300_000_000).to_bytes(8),
        b"\x81\x7e" + (MOST + 1).to_bytes(2),
        b"\x01\x7e" + (MOST + 1).to_bytes(2),
        serialized(b"x" * MOST, fin=False) + b"\x00\x01",
        serialized(b"x" * 600, fin=False) + serialized(b"!", Opcode.PING) + b"\x80\x7e\x02\x00",
    ],
)
def test_what_says_that_it_is_too_long_is_refused_by_its_head(head):
    frames = Frames(MOST)
    frames.feed(head)
    assert isinstance(frames.fault, Excessive)
    assert f"more than {MOST:,} are not read" in str(frames.fault)


def test_a_message_of_just_that_many_bytes_comes():
    frames = Frames(MOST)
    assert frames.feed(serialized(b"x" * MOST)) == [(TEXT, b"x" * MOST)]
    sent = serialized(b"x" * 500, fin=False) + serialized(b"x" * 500, Opcode.CONT)
    assert frames.feed(sent) == [(TEXT, b"x" * MOST)]


@pytest.mark.parametrize(
    ("octets", "said"),
    [
        (b"\xc1\x02{}", "compressed"),
        (b"\x91\x02{}", "compressed"),
        (b"\x83\x00", "of no known kind"),
        (b"\x8b\x00", "of no known kind"),
        (b"\x81\x82\x00\x00\x00\x00{}", "masked"),
        (b"\x81\xff" + b"\xff" * 8, "masked"),
        (b"\x09\x00", "for control"),
        (b"\x89\x7e\x00\x7e", "for control"),
        (b"\x88\x7f" + (2**62).to_bytes(8), "for control"),
        (serialized(b"alone", Opcode.CONT), "out of turn"),
        (serialized(b"a", fin=False) + serialized(b"b"), "out of turn"),
    ],
)
def test_what_no_server_may_send_is_refused_after_what_came_before(octets, said):
    frames = Frames(MOST)
    assert frames.feed(serialized(b"before") + octets) == [(TEXT, b"before")]
    assert isinstance(frames.fault, Unreachable)
    assert said in str(frames.fault)
    assert frames.feed(serialized(b"after")) == []


def test_json_that_would_take_far_more_memory_than_it_is_long_is_refused():
    frames = Frames()
    assert frames.feed(serialized(b"[" + b"[]," * 4_000_000 + b"0]")) == []
    assert isinstance(frames.fault, Excessive)


def test_a_part_of_a_message_is_known_to_be_one():
    frames = Frames(MOST)
    for part in (b"\x81", b"\x05", b"Live"):
        frames.feed(part)
        assert frames.is_within
    assert frames.feed(b"r") == [(TEXT, b"Liver")]
    assert not frames.is_within
    frames.feed(serialized(b"", fin=False))
    assert frames.is_within
