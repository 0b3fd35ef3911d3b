"""A process that keeps an exchange live and is killed, or ended: what the past says of it."""

import signal
from datetime import UTC, datetime, timedelta

import pytest

from exchanges.lock.acquire import ExchangeLock
from exchanges.models import Episode, Exchange
from tests.warmup.runners import end, make_row, processes, serve, wait_until, with_short_lease
from warmup.network.past.episodes import SILENT
from warmup.network.past.watch import PastWatch

pytestmark = pytest.mark.django_db(transaction=True)

SIGN_SECONDS = 15  # so long ago a sign of life may be that is in the database


@pytest.fixture
def live(redis):
    """A process that keeps the sandbox live, and writes down what becomes of it."""
    Exchange.objects.exclude(name="sandbox").delete()
    with serve() as sandbox, processes() as manage:
        row = make_row(sandbox, symbols=["BTC-USD"])
        process = manage(code=with_short_lease("start", "sandbox"))
        wait_until(lambda: states()[-1:] == ["Active: streaming"], 30)
        yield process, row


def states():
    found = Episode.objects.filter(kind="state").order_by("pk")
    return list(found.values_list("text", flat=True))


def test_who_is_killed_ended_without_a_word_and_was_seen_last_before(live, redis):
    process, row = live
    assert len(Episode.objects.filter(kind="run", ended_at=None)) == 1
    killed_at = datetime.now(UTC)
    end(process, signal.SIGKILL)
    wait_until(lambda: ExchangeLock(redis, row.pk).holder() is None)
    PastWatch(redis).step()  # another one that looks, later
    run = Episode.objects.get(kind="run")
    assert run.ending == SILENT
    assert killed_at - timedelta(seconds=SIGN_SECONDS) < run.seen_at < killed_at
    assert run.ended_at == run.seen_at
    assert states()[-1] != "Active: streaming"


def test_who_is_told_to_end_has_said_so(live):
    process, _row = live
    end(process)
    run = Episode.objects.get(kind="run")
    assert run.ending.startswith("stopped")
    assert not Episode.objects.filter(text="Active: streaming", ended_at=None).exists()
