"""Whether this process lives, and whether it can serve: for those who restart and balance."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial

from django.db import Error as DatabaseError
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe
from django_redis import get_redis_connection
from redis import RedisError

from exchanges.redis.client import own_client
from warmup.metrics.redis_server import read_memory, refusal

logger = logging.getLogger(__name__)

TIMEOUT_SECONDS = 2.0  # whoever asks has little more, and a Redis that is slower serves nobody
DATABASE_SECONDS = 3.0
NO_ANSWER = "it does not answer in time"
SILENT = "it does not answer, or lets nobody in"


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
    """Say whether the database, its tables and Redis are there; 503 names what is not, and why.

    A Redis that can be read and not written is not: what is live here goes through it, and so
    does all that people do. One that may drop keys is, but that is said too. The words are
    ours alone: anybody may ask, and the errors' own texts are in the log.
    """
    warnings: list[str] = []
    checks = {
        "database": partial(database.fault, _database_fault),
        "redis": lambda: _redis_fault(warnings),
    }
    failing = {part: why for part, check in checks.items() if (why := _asked(part, check))}
    migrations = partial(database.fault, _migrations_fault)
    if "database" not in failing and (why := _asked("migrations", migrations)):
        failing["migrations"] = why
    answer = {"ready": not failing, "failing": list(failing)}
    if failing:
        answer["why"] = failing
    if warnings:
        answer["warnings"] = warnings
    return JsonResponse(answer, status=503 if failing else 200)


def _asked(part: str, check: Callable[[], str]) -> str:
    try:
        why = error = check()
    except (DatabaseError, RedisError, ValueError) as found:  # the last: an address that is none
        why, error = SILENT, str(found)
    if why:
        logger.warning("health.failing part=%s error=%s", part, error)
    return why


class DatabaseProbe:
    """A database that is asked in a thread, since it may keep who asks for as long as it likes.

    While an answer is overdue it is not asked again: no more than one thread waits for it.
    """

    def __init__(self, timeout_seconds: float):
        self._timeout_seconds = timeout_seconds
        self._lock = threading.Lock()
        self._overdue: Future | None = None

    def fault(self, check: Callable[[], str]) -> str:
        """Return what `check` finds, or that no answer came. Raises what it raises."""
        with self._lock:
            if self._overdue and not self._overdue.done():
                return NO_ANSWER
            answer = self._overdue = Future()
            thread = threading.Thread(target=self._ask, args=(check, answer), daemon=True)
            thread.start()
            try:
                return answer.result(self._timeout_seconds)
            except TimeoutError:
                return NO_ANSWER

    @staticmethod
    def _ask(check: Callable[[], str], answer: Future) -> None:
        try:
            answer.set_result(check())
        except Exception as error:  # whoever waits for it gets it
            answer.set_exception(error)
        finally:
            connection.close()


database = DatabaseProbe(DATABASE_SECONDS)


def _database_fault() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        return ""


def _migrations_fault() -> str:
    executor = MigrationExecutor(connection)
    lacking = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return "its tables are not there, or not all: ./run migrate" if lacking else ""


def _redis_fault(warnings: list[str]) -> str:
    with own_client(get_redis_connection("default"), TIMEOUT_SECONDS) as redis:
        redis.ping()
        why = refusal(redis)
        memory = read_memory(redis)
    if memory and memory.evicts:
        warnings.append(f"redis: it drops keys when it is full (maxmemory-policy {memory.evicts})")
    return why
