"""What Redis can be relied upon for: that it answers, takes what is written, and keeps it."""

from collections.abc import Iterable

from redis.exceptions import RedisError

from alerts.events.source import WHOLE, Look, Moment, Seen
from exchanges.errors import clip
from warmup.metrics.redis_server import read_memories, refusal


class Server:
    """Looks at the Redis server, or at each node of a Cluster."""

    name = "server"
    needs_redis = False  # it is what tells that it is away

    def look(self, look: Look) -> Iterable[Seen | Moment]:
        try:
            refused = refusal(look.redis)
            evicts = {
                node: f"it drops keys when it is full ({memory.evicts})"
                for node, memory in read_memories(look.redis).items()
                if memory.evicts
            }
        except RedisError as error:
            yield Seen("redis_away", None, {WHOLE: f"Redis does not answer: {clip(str(error))}"})
            return
        yield Seen("redis_away", None, {})
        text = f"Redis refuses writes: {refused}; nothing is kept until it takes them"
        yield Seen("redis_writes", None, {WHOLE: text} if refused else {})
        yield Seen("redis_evicts", None, evicts)
