"""The audit of a night: one of each wanted exchange, at its hour, whichever agent comes first."""

from datetime import UTC, datetime, timedelta

import pytest

from exchanges.models import AuditRun, Exchange
from history.audit import nightly
from history.audit.audit import AuditReport
from history.audit.nightly import NightlyAudits, second_of

pytestmark = pytest.mark.django_db

NIGHT = datetime(2026, 11, 29, 3, 20, tzinfo=UTC)


@pytest.fixture
def audited(monkeypatch, settings, folder):
    """Return the names of the exchanges that were audited; an audit itself finds nothing."""
    settings.AUDIT_HOUR = 3
    names = []

    class Nothing:
        def __init__(self, exchange, *_):
            names.append(exchange.name)

        def run(self, _sample):
            return AuditReport(compared=500)

    monkeypatch.setattr(nightly, "Audit", Nothing)
    Exchange.objects.filter(name__in=["binance", "coinbase"]).update(wanted="running")
    return names


def test_each_wanted_exchange_is_audited_once_a_night_at_its_hour(redis, audited):
    times = iter([NIGHT - timedelta(hours=1), NIGHT, NIGHT + timedelta(minutes=5)])
    audits = NightlyAudits(redis, lambda: next(times))
    audits.step()
    assert audited == []
    audits.step()
    audits.step()
    assert sorted(audited) == ["binance", "coinbase"]
    assert {each.compared for each in AuditRun.objects.all()} == {500}
    assert AuditRun.objects.filter(night=NIGHT.date()).count() == 2
    NightlyAudits(redis, lambda: NIGHT + timedelta(days=1)).step()
    assert len(audited) == 4


def test_another_agent_that_was_faster_is_left_to_it(redis, audited, monkeypatch):
    for row in Exchange.objects.filter(wanted="running"):
        AuditRun.objects.create(exchange=row, night=NIGHT.date(), started_at=NIGHT)
    audits = NightlyAudits(redis, lambda: NIGHT)
    audits.step()
    audits._audit(Exchange.objects.get(name="binance"), NIGHT)  # both looked before either wrote
    assert audited == []


def test_it_can_be_switched_off(redis, settings):
    settings.AUDIT_HOUR = None
    with NightlyAudits(redis) as audits:
        assert not audits._thread.is_alive()


def list_symbol(name, symbol):
    row = Exchange.objects.get(name=name)
    values = {"native_symbol": symbol, "base": "BTC", "quote": "USD", "is_monitored": True}
    row.symbols.create(symbol=symbol, **values)
    return row


def test_a_second_exchange_is_public_and_lists_the_same(audited, settings):
    binance = list_symbol("binance", "BTC-USD")
    assert second_of(binance) is None
    coinbase = list_symbol("coinbase", "BTC-USD")
    assert second_of(binance) == coinbase
    settings.LIVERMORE_PRIVATE_EXCHANGE_HOSTS = ["api.coinbase.com"]
    assert second_of(binance) is None
