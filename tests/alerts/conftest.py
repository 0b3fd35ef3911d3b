import pytest

from alerts.models import AlertChannel, AlertRule
from tests.alerts.receiver import Receiver


@pytest.fixture
def receiver():
    found = Receiver()
    yield found
    found.close()


@pytest.fixture
def channel(receiver, monkeypatch):
    """Return a channel that leads to the receiver."""
    monkeypatch.setenv("LIVERMORE_NOTIFY_TEST", receiver.url)
    return AlertChannel.objects.create(name="phone", variable="LIVERMORE_NOTIFY_TEST")


@pytest.fixture
def no_rules(db):
    """Take away the rules of a new installation."""
    AlertRule.objects.all().delete()
