"""How long a close takes that REST has to tell, with and without a fill of history beside it."""

import statistics
import threading
import time
from contextlib import contextmanager

import orjson

from exchanges.lock.status import State, read_status
from exchanges.redis.client import own_client
from livermore.market import keys
from livermore.market.timeframe import Timeframe
from tests.warmup.runners import processes, wait_until

BLOCK_MS = 500
CALLS_IN_FULL_FLOW, SECONDS_BETWEEN_LOOKS = 20, 0.1


class Healing:
    """Takes the time from a bar's end until it is told, of bars whose closing frame never comes."""

    def __init__(self, redis, sandbox, row):
        self._redis, self._sandbox, self._row = own_client(redis, 10), sandbox, row

    @contextmanager
    def live(self):
        """Let the exchange be streamed meanwhile, by a process of its own."""
        with processes() as manage:
            process = manage("start", self._row.name)
            wait_until(lambda: read_status(self._redis, self._row.pk).state is State.ACTIVE, 60)
            yield
            assert process.poll() is None, "the runner has ended"

    def beside(self, command, asked, seconds):
        """Return these times, and how many calls `command` made meanwhile to a sandbox."""
        with processes() as manage:
            process = manage(*command)
            reading = threading.Thread(target=process.communicate, daemon=True)
            reading.start()
            before = calls_of(asked)
            while calls_of(asked) < before + CALLS_IN_FULL_FLOW:
                time.sleep(SECONDS_BETWEEN_LOOKS)
                assert reading.is_alive(), "the fill has ended"
            before = calls_of(asked)
            took = self.alone(seconds)
            calls = calls_of(asked) - before
            assert reading.is_alive(), "the fill has ended"
            process.kill()
            reading.join()
        return took, calls

    def alone(self, seconds):
        """Return these times of so many seconds, in ms of ours."""
        took, last, ends_at = [], "$", time.monotonic() + seconds
        while time.monotonic() < ends_at:
            found = self._redis.xread({keys.events(self._row.pk): last}, block=BLOCK_MS)
            now_ms = self._sandbox.clock.now_ms()
            for entry_id, fields in found[0][1] if found else ():
                last = entry_id
                event = orjson.loads(fields[b"event"])
                if event["healed"]:
                    end_ms = event["timestamp"] + Timeframe(event["timeframe"]).ms
                    took.append((now_ms - end_ms) / self._sandbox.clock.speed)
        return took


def calls_of(sandbox):
    """Return how many calls for candles came in Binance's protocol."""
    return sandbox.requests.counts["binance.klines"]


def described(took):
    """Return the median and the twentieth part that took longest."""
    return f"{statistics.median(took):.0f} ms, 95 % within {quantile(took):.0f} ms, of {len(took)}"


def quantile(took):
    return statistics.quantiles(took, n=20)[-1]
