"""The answer where there is no true one."""

import logging

from redis.exceptions import RedisError

from exchanges.redis.unreadable import OnceAnHour
from livermore.market.coverage import Coverage

logger = logging.getLogger(__name__)

RETRY_SECONDS = 5


class Unavailable(Exception):
    """What is asked for can't be told truthfully now; `retry_seconds` is when to ask again.

    `missing` are the stretches whose candles are not known, where it is for want of those.
    """

    def __init__(self, why: str, retry_seconds: int | None = None, missing: Coverage = ()):
        super().__init__(why)
        self.retry_seconds = retry_seconds or RETRY_SECONDS
        self.missing = missing


class NoHistory(Unavailable):
    """What is asked for can't be had: the exchange tells of nothing that old. To ask again is vain.

    `missing` are the stretches that nobody knows.
    """


_news = OnceAnHour()


def cache_away(error: RedisError | TimeoutError) -> Unavailable:
    """Return what is raised where Redis is away; where that is, and why, the log says alone."""
    if _news.is_news("redis", type(error).__name__):
        logger.warning("serving.no_redis error=%s", error)
    return Unavailable("the cache can't be read")
