"""Replies of a pipeline: some of them are errors."""

from typing import Any

from redis.exceptions import ResponseError


def sound(reply: Any) -> Any:
    """Return a reply, None for a key of another type. Raises RedisError."""
    if isinstance(reply, ResponseError) and str(reply).startswith("WRONGTYPE"):
        return None
    if isinstance(reply, Exception):
        raise reply
    return reply
