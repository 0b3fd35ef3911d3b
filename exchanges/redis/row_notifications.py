"""Rows of exchanges, symbols and accounts that change: it is told once they are committed.

Pages are told that they did, and readers of Redis which exchanges there are now.
"""

import logging
from functools import partial
from typing import Any

from django.db import connection, transaction
from django.db.models.signals import post_delete, post_save
from django_redis import get_redis_connection
from redis.exceptions import RedisError

from exchanges.models import Exchange, Symbol, UserExchange
from exchanges.redis.change_notifications import changed, row_changed
from exchanges.redis.client import own_client
from exchanges.redis.directory import keep_published

logger = logging.getLogger(__name__)

ANSWER_SECONDS = 1.0


def tell_of_saved_rows() -> None:
    """Tell of each row that is saved or deleted from now on. To be called once."""
    for signal in (post_save, post_delete):
        signal.connect(_exchange_saved, sender=Exchange)
        signal.connect(_account_saved, sender=UserExchange)
    post_save.connect(_symbol_saved, sender=Symbol)  # they go by thousands, with their exchange


def tell_row_changed(exchange_id: int) -> None:
    """Tell that rows of an exchange were written, once what is under way is committed.

    What writes without saving a model has to call it.
    """
    transaction.on_commit(partial(_publish, *row_changed(exchange_id)))
    if not any(each[1] is _publish_exchanges for each in connection.run_on_commit):
        transaction.on_commit(_publish_exchanges)  # once for all rows of a transaction


def _exchange_saved(instance: Exchange, **_signal: Any) -> None:
    tell_row_changed(instance.pk)


def _symbol_saved(instance: Symbol, **_signal: Any) -> None:
    tell_row_changed(instance.exchange_id)


def _account_saved(instance: UserExchange, **_signal: Any) -> None:
    transaction.on_commit(partial(_publish, *changed(instance.exchange_id, "accounts")))


def _publish_exchanges() -> None:
    with own_client(get_redis_connection("default"), ANSWER_SECONDS) as redis:
        keep_published(redis)


def _publish(channel: str, message: bytes) -> None:
    try:
        with own_client(get_redis_connection("default"), ANSWER_SECONDS) as redis:
            redis.publish(channel, message)
    except RedisError as error:  # a page sees it ten seconds later
        logger.warning("rows.not_told channel=%s error=%s", channel, error)
