"""What a rule would have rung, as the command shows it; the same as rang when it was live."""

import io
import json

import pytest
from django.core.management import call_command

from alerts.models import Alert, AlertRule, Delivery
from exchanges.models import Exchange
from history.places.folder import Folder
from history.store.store import HistoryStore
from livermore.command import UsageError
from tests.alerts.signals.market import BTC, Market, candles, closes_of_drop
from tests.alerts.signals.test_source import NewEvaluator, bars

pytestmark = pytest.mark.django_db
SINCE, UNTIL = "2026-11-19T01:00", "2026-11-19T02:05"  # the bar of the drop opens at 01:40
LAST = 25


@pytest.fixture
def market(redis, no_rules):
    exchange = Exchange.objects.get(name="sandbox")
    exchange.symbols.create(symbol="BTC-USD", native_symbol="BTCUSD", is_monitored=True)
    return Market(redis, exchange.pk)


def replayed(*options, since=SINCE):
    out = io.StringIO()
    stretch = ["--since", since, "--until", UNTIL]
    call_command("alert", "--replay", "sandbox", *stretch, *options, stdout=out)
    return out.getvalue()


def as_json(*options, since=SINCE):
    return json.loads(replayed("--json", *options, since=since))


def test_a_rule_that_is_not_there_is_tried(market):
    market.write(candles(closes_of_drop(LAST)))
    found = as_json("--rule", "level:200", "--timeframes", "1m")
    (signal,) = found["signals"]
    assert signal["time"] == 1_795_052_760_000  # 01:46: the end of the sixth bar from the drop on
    assert (signal["which"], signal["price"], round(signal["value"], 1)) == ("-200", 90.0, -202.4)
    assert found["messages"] == {"0": 1}
    assert found["missing"] == {}
    assert not Alert.objects.exists() and not Delivery.objects.exists()


def test_it_is_a_table_that_says_when_and_what_is_missing(market):
    market.write(candles(closes_of_drop(LAST)))
    out = replayed("--rule", "reversal", "--timeframes", "1m", since="2026-11-18T23:50")
    assert "2026-11-19 01:57" in out and "turns" in out
    assert "1 signal in 1 message; nothing was sent" in out
    assert "missing: 10 bars of BTC-USD 1m" in out


def test_it_begins_in_the_middle_as_if_it_had_gone_on(market):
    market.write(candles(closes_of_drop(LAST)))
    whole = as_json("--rule", "stage", "--timeframes", "1m")["signals"]
    later = as_json("--rule", "stage", "--timeframes", "1m", since="2026-11-19T01:45")["signals"]
    assert later and later == [each for each in whole if each["time"] > 1_795_052_700_000]


def test_what_rang_live_is_what_a_replay_shows(market, redis):
    for what in ("level", "stage", "reversal"):
        AlertRule.objects.create(what=what, timeframes=["1m"], cool_down=0)
    evaluator = NewEvaluator(redis)
    market.write(bars(-99, 0))
    evaluator.look(0)
    for n in range(1, LAST + 1):
        market.close(bars(n, n))
        evaluator.look(n)
        if n % 4 == 0:
            evaluator.restart()
    live = {
        (alert.what, round(1000 * alert.first_seen.timestamp())) for alert in Alert.objects.all()
    }
    found = as_json(since="2026-11-19T01:40")
    assert {(each["signal"], each["time"]) for each in found["signals"]} == live
    assert sum(found["messages"].values()) == Alert.objects.count()


def test_it_may_begin_before_there_was_any_candle(market):
    options = "--rule", "stage", "--timeframes", "1d", "--symbols", "BTC-USD"
    assert as_json(*options, since="0001-01-01")["signals"] == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--rule", "levels"], "unknown rule 'levels'"),
        (["--rule", "level:100"], "it is from 150 to 1000"),
        (["--rule", "level:deep"], "'deep' is no number"),
        (["--rule", "price_above"], "which price?"),
        (["--rule", "price_above:9"], "name it with --symbols"),
        (["--rule", "99"], "rule 99 is none"),
        ([], "no active rule is about signals of sandbox"),
        (["--rule", "stage", "--until", "2026-11-01"], "is not before 2026-11-01T00:00"),
        (["--rule", "stage", "--until", "soon"], "--until is a time such as"),
    ],
)
def test_what_is_typed_wrong_gets_a_line(market, options, said):
    with pytest.raises(UsageError, match=said.replace("?", r"\?")):
        replayed(*options)


def test_it_reads_history_where_the_cache_begins_later(market, tmp_path, settings):
    settings.HISTORY = str(tmp_path / "history")
    kept = candles(closes_of_drop(LAST))
    older, newer = kept[:110], kept[110:]  # the drop and both levels are in history alone
    store = HistoryStore(Folder(tmp_path / "history"), Exchange.objects.get(pk=market.number))
    store.write(BTC, older, ((older[0].timestamp, older[-1].close_time_ms),))
    market.write(newer)
    found = as_json("--rule", "level", "--timeframes", "1m")
    assert [each["which"] for each in found["signals"]] == ["-150", "-200"]
    assert found["missing"] == {}
