"""What this process has counted, told to Redis each second, so that any of them can tell all."""

import asyncio
import secrets
from collections.abc import Mapping
from typing import Any

from asgiref.sync import sync_to_async
from redis import Redis
from redis.exceptions import RedisError

from exchanges.redis.client import own_client
from livermore.market import keys
from serving.counting.exposition import Counts, Field, ServingCollector, in_text
from serving.counting.lapses import note_not_counted
from serving.counting.readers import Readers
from warmup.network.readers import Report, read_reports, tell_readers, withdraw

SECONDS_BETWEEN, ANSWER_SECONDS = 1.0, 2.0
COUNTS_KEPT_MS = 3_600_000  # once nobody serves at that address any more


class Reports:
    """Adds what was counted to what the others have; `server_id` is the same for all of them.

    What can't be told now is told later. Used in the event loop alone.
    """

    def __init__(self, redis: Redis, server_id: str):
        self.counts, self.readers = Counts(), Readers()
        self._redis = own_client(redis, ANSWER_SECONDS, "serving-counts")
        self._server_id = server_id
        self._process_id = secrets.token_hex(8)
        self._telling = asyncio.Lock()

    async def run(self) -> None:
        """Tell it again and again, until this is cancelled."""
        while True:
            await self.tell()
            await asyncio.sleep(SECONDS_BETWEEN)

    async def tell(self) -> None:
        """Tell it now."""
        async with self._telling:
            counted = self.counts.take()
            report = Report(self._process_id, self._server_id, readers=self.readers.current())
            try:
                await sync_to_async(self._tell, thread_sensitive=False)(counted, report)
            except RedisError as error:
                self.counts.put_back(counted)
                note_not_counted("all", error)

    async def withdraw(self) -> None:
        """Tell all of it, and that this process ends."""
        await self.tell()
        try:
            await sync_to_async(withdraw, thread_sensitive=False)(self._redis, self._process_id)
        except RedisError as error:  # it is forgotten by itself
            note_not_counted("all", error)

    async def collector(self) -> ServingCollector:
        """Return what all processes have counted together."""
        await self.tell()
        try:
            return await sync_to_async(self._collector, thread_sensitive=False)()
        except RedisError:
            return ServingCollector(None, ())

    def _tell(self, counted: Mapping[Field, float], report: Report) -> None:
        tell_readers(self._redis, report)
        name = keys.serving_counts(self._server_id)
        pipe = self._redis.pipeline()  # all of it or nothing: it would be told again
        for field, amount in counted.items():
            pipe.hincrbyfloat(name, in_text(field).decode(), amount)
        pipe.pexpire(name, COUNTS_KEPT_MS)
        pipe.execute()

    def _collector(self) -> ServingCollector:
        stored: Any = self._redis.hgetall(keys.serving_counts(self._server_id))
        reports = [each for each in read_reports(self._redis) if each.server_id == self._server_id]
        return ServingCollector(stored, reports)
