"""Numbers of an exchange's that no exchange would send: they cost their frame and no other."""

import orjson
import pytest

from exchanges.errors import BadPayload
from exchanges.stream.events import CandleUpdate, Lost
from exchanges.venues.coinbase.stream import CoinbaseSession, CoinbaseStream

SENT = "2026-11-28T13:40:00Z"
HUGE = [
    b"1e300",
    b"1e15",
    b"9007199254740993",
    b"-1",
    b'"1e3"',
    b"true",
    b"1.5",
    b'"%s"' % (b"9" * 30),
]


@pytest.fixture
def session():
    return CoinbaseSession({"BTC-USD": "BTC-USD"}, CoinbaseStream.limits)


def heartbeat(number):
    head = b'{"channel":"heartbeats","timestamp":"%s","events":[],' % SENT.encode()
    return head + b'"sequence_num":%s}' % number


def trade(number, trade_id, at, size="1"):
    row = {"product_id": "BTC-USD", "trade_id": trade_id, "price": "1", "size": size}
    event = {
        "type": "update",
        "trades": [row | {"time": f"2026-11-28T{at}Z" if len(at) < 20 else at}],
    }
    frame = {"channel": "market_trades", "sequence_num": number, "timestamp": SENT}
    return orjson.dumps(frame | {"events": [event]})


@pytest.mark.parametrize("number", HUGE)
def test_a_frame_whose_number_is_none_costs_itself(session, number):
    session.parse(heartbeat(b"0"))
    with pytest.raises(BadPayload):
        session.parse(heartbeat(number))
    assert not [each for each in session.parse(heartbeat(b"1")) if isinstance(each, Lost)]


def test_a_gap_that_can_be_none_is_a_loss_of_which_the_count_is_not_known(session):
    session.parse(heartbeat(b"0"))
    assert Lost(None) in session.parse(heartbeat(b"9007199254740992"))
    assert Lost(None) in session.parse(heartbeat(b"5"))
    assert Lost(3) in session.parse(heartbeat(b"9"))


@pytest.mark.parametrize(
    "poison",
    [
        {"trade_id": "9" * 30},
        {"trade_id": str(2**53)},
        {"trade_id": "5000000"},
        {"at": "9999-11-28T13:40:03Z"},
        {"at": "2099-11-28T13:40:03Z"},
        {"size": "1e999999"},
        {"size": "1e999999999999"},
        {"size": "9" * 5000},
        {"at": "x" * 5000},
    ],
    ids=str,
)
def test_a_trade_that_is_none_does_not_silence_those_that_follow(session, poison):
    good = [("1", "13:39:01"), ("2", "13:40:01"), ("3", "13:40:02")]
    later = [("5", "13:40:04"), ("6", "13:41:04"), ("7", "13:42:04"), ("8", "13:43:05")]
    wrong = {"trade_id": "4", "at": "13:40:03"} | poison
    closed = []
    for number, (trade_id, at, *size) in enumerate([*good, tuple(wrong.values()), *later]):
        try:
            events = session.parse(trade(number, trade_id, at, *size))
        except BadPayload:
            assert trade_id not in [each for each, _ in good + later]
            continue
        closed += [each for each in events if isinstance(each, CandleUpdate) and each.closed]
    assert closed
    assert not session.parse(heartbeat(b"8"))[:-1]
