"""A client of Redis for one who must not wait behind others, nor for long."""

from redis import ConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

LONGEST_CONNECTING_SECONDS = 1.0


def own_client(redis: Redis, socket_timeout: float) -> Redis:
    """Return a client of the same server with connections and timeouts of its own, no retries."""
    pool = redis.connection_pool
    options = {
        name: value
        for name, value in pool.connection_kwargs.items()
        if not name.startswith(("maint_", "orig_", "himport_"))  # made by the pool, for itself
    }
    options |= {
        "socket_timeout": socket_timeout,
        "socket_connect_timeout": min(socket_timeout, LONGEST_CONNECTING_SECONDS),
        "retry": Retry(NoBackoff(), 0),
        "retry_on_error": [],
        "decode_responses": False,
    }
    return Redis.from_pool(ConnectionPool(pool.connection_class, **options))
