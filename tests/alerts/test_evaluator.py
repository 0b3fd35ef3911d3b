"""What is told: each event once, together, and its end once; and what is left as it was."""

from datetime import time

import pytest
from redis.exceptions import ConnectionError

from alerts.events.source import Seen
from alerts.models import Alert, AlertChannel, AlertProgress, AlertRule
from tests.alerts.looked import Looked

pytestmark = pytest.mark.django_db

PAIRS = [f"{symbol} 1m" for symbol in ("ADA-USD", "BTC-USD", "ETH-USD")]


@pytest.fixture
def looked(redis, no_rules):
    return Looked(redis)


def rule(what="stale", **values):
    phone, _ = AlertChannel.objects.get_or_create(name="phone", variable="LIVERMORE_NOTIFY_TEST")
    return AlertRule.objects.create(what=what, **{"channel": phone, "threshold": 0} | values)


def test_what_lasts_is_told_once_and_its_end_once(looked):
    rule()
    for minute in (0, 1, 2):
        looked.see("stale", PAIRS[0], at=minute)
    looked.see("stale", at=3)
    looked.see("stale", at=4)
    assert looked.messages == [
        "sandbox: ADA-USD 1m: it is so",
        "Over after 3 min: sandbox: ADA-USD 1m: it is so",
    ]


def test_what_begins_together_is_one_message(looked):
    rule()
    looked.see("stale", *PAIRS)
    assert looked.messages == ["3 pairs of sandbox are stale: ADA-USD 1m, BTC-USD 1m, ETH-USD 1m"]
    looked.see("stale", PAIRS[0], at=1)
    assert len(looked.messages) == 1  # it is not over
    looked.see("stale", at=2)
    assert len(looked.messages) == 2


def test_it_has_to_last_as_long_as_the_rule_wants(looked):
    rule(threshold=5)
    looked.see("stale", PAIRS[0], at=0)
    looked.see("stale", PAIRS[0], PAIRS[1], at=4)
    assert looked.alerts == []
    looked.see("stale", PAIRS[0], PAIRS[1], at=5)
    assert looked.messages == ["sandbox: ADA-USD 1m: it is so"]


def test_what_ends_before_that_begins_anew(looked):
    rule(threshold=5)
    looked.see("stale", PAIRS[0], at=0)
    looked.see("stale", at=3)
    looked.see("stale", PAIRS[0], at=6)
    assert looked.alerts == []


def test_what_begins_in_a_cool_down_is_told_together_after_it(looked):
    rule(cool_down=15)
    looked.see("stale", PAIRS[0], at=0)
    looked.see("stale", PAIRS[0], PAIRS[1], at=5)
    looked.see("stale", *PAIRS, at=10)
    assert len(looked.messages) == 1
    looked.see("stale", *PAIRS, at=15)
    assert looked.messages[1:] == ["2 pairs of sandbox are stale: BTC-USD 1m, ETH-USD 1m"]


def test_what_is_over_before_it_could_be_told_is_not_told(looked):
    rule(cool_down=15)
    looked.see("stale", PAIRS[0], at=0)
    looked.see("stale", PAIRS[0], PAIRS[1], at=5)
    looked.see("stale", PAIRS[0], at=6)
    looked.see("stale", PAIRS[0], at=20)
    assert len(looked.messages) == 1
    assert [each.told_at is not None for each in looked.alerts] == [True, False]


def test_in_quiet_hours_nothing_is_told_and_after_them_what_still_is_so(looked):
    rule(quiet_from=time(11), quiet_until=time(12, 30))
    rule("take_over", quiet_from=time(11), quiet_until=time(12, 30))
    looked.see("stale", PAIRS[0], PAIRS[1], at=0)
    looked.happens("take_over", "", at=1)
    looked.see("stale", PAIRS[0], at=2)
    assert looked.messages == []
    looked.see("stale", PAIRS[0], at=30)
    assert looked.messages == ["sandbox: ADA-USD 1m: it is so", "sandbox: it was so"]


def test_quiet_hours_may_go_over_midnight(looked):
    rule(quiet_from=time(22), quiet_until=time(13))
    looked.see("stale", PAIRS[0], at=0)
    assert looked.messages == []
    looked.see("stale", PAIRS[0], at=60)
    assert len(looked.messages) == 1


def test_what_happens_is_told_once_and_has_no_end(looked):
    rule("take_over", cool_down=0)
    looked.happens("take_over", "")
    looked.look(at=1)
    assert looked.messages == ["sandbox: it was so"]
    looked.happens("take_over", "", at=2)
    assert len(looked.messages) == 2


def test_what_happens_often_in_a_cool_down_is_one_message(looked):
    rule("take_over", cool_down=15)
    for minute in range(4):
        looked.happens("take_over", "", at=minute)
    looked.look(at=15)
    assert looked.messages == [
        "sandbox: it was so",
        "sandbox was taken over 3 times: it was so, it was so, it was so",
    ]


def test_a_moment_may_be_of_one_rule_alone(looked):
    first, second = rule("take_over"), rule("take_over")
    looked.happens("take_over", "", rule=second.pk)
    assert list(Alert.objects.values_list("rule", flat=True)) == [second.pk] != [first.pk]


def test_a_rule_is_about_its_exchange_symbols_and_timeframes(looked):
    rule(symbols=["BTC-USD"], timeframes=["1m"])
    rule(exchange=looked.exchange.__class__.objects.get(name="binance"))
    looked.see("stale", *PAIRS, "BTC-USD 1h")
    assert looked.messages == ["sandbox: BTC-USD 1m: it is so"]


def test_an_amount_is_compared_with_the_threshold(looked):
    rule("clock_skew", threshold=5)
    looked.see("clock_skew", "", amounts={"": 4.9})
    assert looked.messages == []
    looked.see("clock_skew", "", amounts={"": 5.0}, at=1)
    looked.see("clock_skew", "", amounts={"": 1.0}, at=2)
    assert len(looked.messages) == 2


def test_where_nothing_can_be_seen_nothing_begins_and_nothing_ends(looked):
    rule()
    looked.see("stale", PAIRS[0])
    looked.source.error = ConnectionError("gone")
    done = looked.see("stale", PAIRS[1], at=1)
    assert done.faults == ["said"]
    looked.source.error = None
    looked.look(at=2)
    assert looked.messages == ["sandbox: ADA-USD 1m: it is so"]
    assert AlertProgress.objects.get().positions == {"said": {"looks": 2}}  # not the one in vain


def test_of_two_that_look_at_once_one_looks_in_vain(looked, redis):
    rule()
    other = Looked(redis)
    looks = other.source.look

    def look_late(look):
        looked.see("stale", PAIRS[0])  # another process, meanwhile
        return looks(look)

    other.source.look = look_late
    assert other.see("stale", PAIRS[0]).in_vain
    assert looked.messages == ["sandbox: ADA-USD 1m: it is so"]


def test_who_stands_back_looks_where_nobody_else_has_lately(looked, redis):
    """As one whom Redis does not answer does, while another one has it."""
    rule()
    cut_off = Looked(redis)

    def see(minutes):
        cut_off.at = 60 * minutes
        cut_off.source.events = [Seen("stale", looked.exchange, {PAIRS[0]: "it is so"})]
        return cut_off.evaluator.step(stands_back=True)

    looked.see("stale")
    assert see(0.1).in_vain
    assert looked.messages == []
    assert not see(0.5).in_vain  # the other one is dead
    assert not see(0.6).in_vain
    assert looked.messages == ["sandbox: ADA-USD 1m: it is so"]


def test_without_a_channel_it_is_on_the_page_alone(looked):
    rule(channel=None)
    looked.see("stale", PAIRS[0])
    (alert,) = looked.alerts
    assert (alert.told_at is not None, looked.messages) == (True, [])


@pytest.mark.parametrize("how", ["rule off", "rule gone", "exchange off"])
def test_what_nobody_looks_at_any_more_ends_without_a_word(looked, how):
    made = rule()
    looked.see("stale", PAIRS[0])
    if how == "rule off":
        AlertRule.objects.update(is_active=False)
    elif how == "rule gone":
        made.delete()
    else:
        type(looked.exchange).objects.update(is_active=False)
    looked.look(at=1)
    assert [each.resolved_at is not None for each in looked.alerts] == [True]
    assert len(looked.messages) == 1


def test_a_new_installation_has_rules_that_ring_nowhere(db):
    rules = AlertRule.objects.all()
    assert len(rules) == 18
    assert {(each.channel, each.is_active) for each in rules} == {(None, True)}


@pytest.mark.parametrize(
    "change", [{"exchange_id": 1}, {"what": "hole"}], ids=["another exchange", "another kind"]
)
def test_what_a_rule_was_about_before_it_was_changed_ends_without_a_word(looked, change):
    made = rule()
    looked.see("stale", PAIRS[0])
    AlertRule.objects.filter(pk=made.pk).update(**change)
    looked.see(change.get("what", "stale"), PAIRS[0], at=1)
    assert looked.alerts[0].resolved_at is not None
    assert not [text for text in looked.messages if text.startswith("Over")]


def test_an_exchange_that_is_switched_on_again_begins_anew(looked):
    rule(threshold=5)
    looked.see("stale", PAIRS[0])
    type(looked.exchange).objects.update(is_active=False)
    looked.look(at=1)
    type(looked.exchange).objects.update(is_active=True)
    looked.see("stale", PAIRS[0], at=10_000)
    assert looked.messages == []
    looked.see("stale", PAIRS[0], at=10_005)
    assert len(looked.messages) == 1


def test_what_waits_of_a_rule_that_is_switched_off_is_not_told_later(looked):
    made = rule("take_over")
    looked.happens("take_over", "", at=0)
    looked.happens("take_over", "", at=1)
    AlertRule.objects.update(is_active=False)
    looked.look(at=2)
    AlertRule.objects.filter(pk=made.pk).update(is_active=True)
    looked.look(at=10_000)
    assert len(looked.messages) == 1


def test_a_pair_that_waits_is_told_when_its_own_cool_down_is_over(looked):
    rule("stage")
    for minute in range(60):  # another pair each minute, and each again five minutes later
        pairs = [f"S{minute} 1m"] + [f"S{minute - 5} 1m"] * (minute >= 5)
        looked.happens("stage", *pairs, at=minute)
    again = [text for text in looked.messages if "S3 1m" in text]
    assert len(again) == 2
    assert "S40 1m" in [name for each in looked.alerts if each.told_at for name in each.members]
    waiting = [each for each in looked.alerts if each.told_at is None]
    assert {name for each in waiting for name in each.members} == {
        f"S{number} 1m" for number in range(45, 55)
    }
