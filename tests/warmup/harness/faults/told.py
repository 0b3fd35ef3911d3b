"""What a person reads of a step that failed, and what lets it fail."""

from django.contrib.auth import get_user_model

from exchanges.models import UserExchange
from exchanges.rest.pacing.batch import BatchPacer
from exchanges.rest.pacing.host import host_of
from livermore.market.candle import Ticker
from tests.warmup.runners import MIDNIGHT_MS

PORT_OF_NOBODY = 9  # discard
TICKER = Ticker("BTC-USD", 2.0, -1.0, -33.3, 3.0, 0.5, 812.5, MIDNIGHT_MS)


def lines(step):
    """Return what a person reads of a step that failed; both are one line, and there is one."""
    assert step.result == "FAIL"
    assert step.remedy
    assert "\n" not in step.detail + step.remedy
    return f"{step.detail} | {step.remedy}"


def pacer_for(redis, row):
    return BatchPacer(redis, host_of(row.rest_url), 5, 1000)


def add_account(row, **names):
    user, _ = get_user_model().objects.get_or_create(username="trader")
    names = {f"api_{what}_env": name for what, name in names.items()}
    return UserExchange.objects.create(user=user, exchange=row, display_name="main", **names)
