"""A server of candles in a thread of its own, as a program meets it."""

import asyncio
import os
import threading
from contextlib import contextmanager

import requests
from django.db import connections

from serving.server import Server
from serving.transport.connections import MOST


@contextmanager
def served(redis, url=None, port=0, most=MOST, **options):
    """Serve all exchanges of the database; yield the address. `url` is that of the Redis."""
    loop, begun, found = asyncio.new_event_loop(), threading.Event(), []

    async def begin():
        server = Server(redis, url or os.environ["REDIS_URL"], **options)
        runner = await server.listen("127.0.0.1", port, most=most)
        found.extend([runner, f"http://127.0.0.1:{runner.addresses[0][1]}"])
        begun.set()

    def run():
        asyncio.set_event_loop(loop)
        task = loop.create_task(begin())
        loop.run_forever()
        assert task.done()
        loop.run_until_complete(found[0].cleanup())
        for each in (left := asyncio.all_tasks(loop)):
            each.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_default_executor())
        connections.close_all()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        assert begun.wait(20)
        yield found[1]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(20)


def klines(url, symbol="BTCUSD", interval="1h", exchange="sandbox", **params):
    """Return the answer to a request for klines."""
    query = {"symbol": symbol, "interval": interval} | params
    return requests.get(f"{url}/{exchange}/api/v3/klines", params=query, timeout=30)
