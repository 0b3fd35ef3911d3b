"""The names that readers outside of this project know by heart."""

import inspect

import pytest
from redis.crc import key_slot

from livermore.market import keys
from livermore.market.naming import Naming, current, name_as
from livermore.market.timeframe import Timeframe


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (keys.candles(7, "BTC-USD", "1h"), "candles:7:BTC-USD:1h"),
        (keys.live_candle(7, "BTC-USD", "1h"), "candle:live:7:BTC-USD:1h"),
        (keys.coverage(7, "BTC-USD", "1h"), "coverage:7:BTC-USD:1h"),
        (keys.ticker(7, "BTC-USD"), "ticker:7:BTC-USD"),
        (keys.ticker_channel(7, "BTC-USD"), "channel:ticker:7:BTC-USD"),
        (keys.warmup_schedule(7), "exchange:7:warm-up-schedule:symbols"),
        (keys.warmup_stats(7), "exchange:7:warm-up-schedule:stats"),
        (keys.lock(7), "exchange:7:lock"),
        (keys.epoch(7), "exchange:7:epoch"),
        (keys.status(7), "exchange:7:status"),
        (keys.events(7), "exchange:7:events"),
        (keys.control(7), "exchange:7:control"),
        (keys.exchange_changed(7), "channel:exchange:7:changed"),
        (keys.successor(7), "exchange:7:successor"),
        (keys.lock_channel(7), "channel:exchange:7:lock"),
        (keys.holder_channel("a-b"), "channel:holder:a-b"),
        (keys.old_rows_cleared(), "old-rows:cleared"),
        (keys.fetch_turn(7), "exchange:7:fetch-turn"),
        (keys.history_turn(7), "exchange:7:history-turn"),
        (keys.passed(7, "ab"), "exchange:7:passed:ab"),
        (keys.readers(), "serving:readers"),
        (keys.serving_counts("a"), "serving:counts:a"),
        (keys.client_requests(3, 60), "serving:client:3:requests:60"),
        (keys.client_sockets(3), "serving:client:3:sockets"),
        (keys.client_addresses(3), "serving:client:3:addresses"),
        (keys.pacing("api.binance.com"), "pacing:api.binance.com"),
        (keys.pacing("127.0.0.1:8899"), "pacing:127.0.0.1:8899"),
    ],
)
def test_a_name_is_spelled_as_the_contract_says(name, expected):
    assert name == expected


OF_AN_EXCHANGE = [
    *(keys.unconfirmed, keys.told, keys.warmup_schedule, keys.warmup_stats, keys.lock, keys.epoch),
    *(
        keys.server,
        keys.status,
        keys.trouble,
        keys.commands,
        keys.events,
        keys.control,
        keys.volumes,
    ),
    *(keys.exchange_changed, keys.lock_channel, keys.server, keys.successor, keys.fetch_turn),
    keys.history_turn,
]
OF_A_SYMBOL = [keys.ticker, keys.ticker_channel]
OF_A_PAIR = [
    *(keys.candles, keys.live_candle, keys.coverage, keys.candle_channel, keys.close_channel),
    *(keys.indicator, keys.indicator_channel),
]
OF_A_LOGIN = [keys.login_attempts, keys.login_known]


def all_names():
    """Return a name of each kind: those of exchange 7, then those of none."""
    return [
        *(name(7) for name in OF_AN_EXCHANGE),
        *(name(7, "A-B") for name in (*OF_A_SYMBOL, keys.passed)),
        *(name(7, "A-B", "1h") for name in OF_A_PAIR),
    ], [
        *(name("user:1") for name in OF_A_LOGIN),
        *(keys.agents(), keys.old_rows_cleared(), keys.installation(), keys.holder_channel("1")),
        *(keys.readers(), keys.serving_counts("a"), keys.client_requests(3, 60)),
        *(keys.client_sockets(3), keys.client_addresses(3)),
    ]


@pytest.fixture
def named():
    """Return what names all differently until the test ends."""
    before = current()
    yield lambda *naming: name_as(Naming(*naming))
    name_as(before)


def test_all_kinds_of_names_are_looked_at_here():
    kinds = {
        name
        for name, found in vars(keys).items()
        if inspect.isfunction(found) and found.__module__ == keys.__name__ and name[0] != "_"
    }
    looked_at = {name.__name__ for name in (*OF_AN_EXCHANGE, *OF_A_SYMBOL, *OF_A_PAIR, *OF_A_LOGIN)}
    assert kinds - looked_at == {
        *("pair_field", "pair_of", "agents", "old_rows_cleared", "pacing", "nothing"),
        *("holder_channel", "installation", "exchanges", "of_candles", "readers", "serving_counts"),
        *("client_requests", "client_sockets", "client_addresses", "guesses", "passed"),
        "alerts_turn",
    }


def test_a_prefix_stands_before_every_name(named):
    before = [name for names in all_names() for name in names]
    named("lm:")
    assert [name for names in all_names() for name in names] == [f"lm:{name}" for name in before]


def test_hosts_that_several_share_are_named_by_a_prefix_of_their_own(named):
    named("lm:", True, "all:")
    assert keys.pacing("a.example") == "all:pacing:a.example"


def test_with_tags_all_names_of_an_exchange_are_in_one_slot(named):
    before = all_names()[0]
    named("", True)
    after = all_names()[0]
    assert after == [name.replace(":7", ":{7}", 1) for name in before]
    assert {key_slot(name.encode()) for name in after} == {key_slot(b"7")}
    named("lm:", True)
    assert all_names()[0] == [f"lm:{name}" for name in after]


def test_with_tags_all_names_of_logins_are_in_one_slot(named):
    named("", True)
    names = [name(who) for name in OF_A_LOGIN for who in ("user:1", "address:2", "1:2")]
    assert len({key_slot(name.encode()) for name in names}) == 1


def test_a_timeframe_is_named_by_its_text():
    assert keys.candles(1, "A-B", Timeframe.H4) == keys.candles(1, "A-B", "4h")


def test_a_symbol_may_be_of_any_script():
    assert keys.coverage(1, "币安人生-USDT", "1d") == "coverage:1:币安人生-USDT:1d"


def test_no_two_things_share_a_name():
    of_a_pair = (keys.candles, keys.live_candle, keys.coverage)
    of_an_exchange = (
        keys.warmup_schedule, keys.warmup_stats,
        keys.lock, keys.epoch, keys.status, keys.events, keys.control,
    )  # fmt: skip
    names = [
        *(name(pk, symbol, t) for name in of_a_pair for pk in (1, 11) for symbol in ("A-B", "1A-B")
          for t in Timeframe),
        *(name(pk, "A-B") for name in (keys.ticker, keys.ticker_channel) for pk in (1, 11)),
        *(name(pk) for name in of_an_exchange for pk in (1, 11)),
    ]  # fmt: skip
    assert len(names) == len(set(names))
