"""What could not be counted in Redis: said once an hour, as it is tried each second."""

import logging

from exchanges.redis.unreadable import OnceAnHour

logger = logging.getLogger(__name__)
_news = OnceAnHour()


def note_not_counted(what: str, error: Exception) -> None:
    """Log that each process counts for itself for now, or tells it later."""
    if _news.is_news(what, type(error).__name__):
        logger.warning("serving.not_counted what=%s error=%s", what, error)
