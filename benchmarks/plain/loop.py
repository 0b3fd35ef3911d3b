"""What one writes first: five requests in parallel, then a pause of a second."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import requests

from livermore.market.pair import Pair

BATCH = 5
PAUSE_SECONDS = 1


def fetch(url: str, pairs: Sequence[Pair], count: int) -> float:
    """Fetch the newest candles of `pairs`, named natively, and keep none; return the seconds."""
    started = time.perf_counter()
    with requests.Session() as session, ThreadPoolExecutor(BATCH) as pool:
        session.trust_env = False

        def fetch_one(pair: Pair) -> None:
            parameters = {"symbol": pair[0], "interval": str(pair[1]), "limit": count}
            reply = session.get(f"{url}/api/v3/klines", params=parameters, timeout=10)
            assert len(reply.json()) == count, reply.text[:200]

        for first in range(0, len(pairs), BATCH):
            if first:
                time.sleep(PAUSE_SECONDS)
            list(pool.map(fetch_one, pairs[first : first + BATCH]))
    return time.perf_counter() - started
