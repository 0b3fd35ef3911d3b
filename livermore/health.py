"""Whether this process lives, and whether it can serve: for those who restart and balance."""

import logging
from collections.abc import Callable

from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe
from django_redis import get_redis_connection
from redis import RedisError

from exchanges.redis_client import own_client

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 2.0  # whoever asks has little more, and a Redis that is slower serves nobody


@csrf_exempt  # else a POST would be refused for another reason than it is
@never_cache
@require_safe
def live(request: HttpRequest) -> JsonResponse:
    """Answer: where nothing else does, this process has to be started anew."""
    return JsonResponse({"live": True})


@csrf_exempt
@never_cache
@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """Say whether the database, its tables and Redis are there; 503 names what is not."""
    failing = []
    if not _passes("database", _database_answers):
        failing.append("database")  # of its tables nothing can be said
    elif not _passes("migrations", _migrations_are_applied):
        failing.append("migrations")
    if not _passes("redis", _redis_answers):
        failing.append("redis")
    status = 503 if failing else 200
    return JsonResponse({"ready": not failing, "failing": failing}, status=status)


def _passes(part: str, check: Callable[[], bool]) -> bool:
    try:
        return check()
    except (DatabaseError, RedisError) as error:
        logger.warning("health.failing part=%s error=%s", part, error)
        return False


def _database_answers() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        return True


def _migrations_are_applied() -> bool:
    executor = MigrationExecutor(connection)
    return not executor.migration_plan(executor.loader.graph.leaf_nodes())


def _redis_answers() -> bool:
    with own_client(get_redis_connection("default"), PATIENCE_SECONDS) as redis:
        return bool(redis.ping())
