"""Who holds a lock shows that its process lives."""

from contextlib import closing
from itertools import count

import pytest

from exchanges.lock.acquire import ExchangeLock
from exchanges.lock.presence import SECONDS_BETWEEN_LOOKS, Presence
from livermore.market import keys
from tests.warmup.runners import wait_until


@pytest.fixture
def presence(redis):
    with ExchangeLock(redis, 7).acquire() as lease, closing(Presence(redis, lease)) as presence:
        presence.channel = keys.holder_channel(lease.holder.instance_id)
        yield presence


def seen(redis, presence):
    ((_, count),) = redis.pubsub_numsub(presence.channel)
    return count


def test_it_is_seen_until_it_is_closed(redis, presence):
    presence.keep_up(0.0)
    wait_until(lambda: seen(redis, presence) == 1)
    presence.close()
    wait_until(lambda: not seen(redis, presence))


def test_a_connection_that_broke_is_made_anew(redis, presence, caplog):
    presence.keep_up(0.0)
    redis.client_kill_filter(_type="pubsub", skipme=True)
    wait_until(lambda: not seen(redis, presence))
    looks = count(2)

    def is_made_anew():  # one look finds it broken, a later one makes another
        presence.keep_up(next(looks) * SECONDS_BETWEEN_LOOKS)
        return seen(redis, presence) == 1

    wait_until(is_made_anew)
    assert caplog.text.count("lock.not_shown") <= 1
