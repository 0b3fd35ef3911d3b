"""What Redis did in a while, as it tells it itself (MONITOR)."""

import threading
from contextlib import contextmanager, suppress

from redis.exceptions import RedisError

from exchanges.lock import fencing
from exchanges.redis.client import own_client
from warmup.cache import candles as cache
from warmup.cache import indicators as indicator_cache
from warmup.live.writing import flush

LONGEST_SILENCE_SECONDS = 600
READING = (
    "GET",
    "MGET",
    "ZCARD",
    "ZRANGE",
    "ZRANGEBYSCORE",
    "DUMP",
    "EXISTS",
    "TYPE",
    "GETRANGE",
    "STRLEN",
    "HGET",
)
OF_MARKET = ("candles:", "candle:", "coverage:", "ticker:", "indicator:")  # keys of market data
SCRIPTS = (cache.WRITE, indicator_cache.WRITE, flush.FLUSH, fencing.SET_AND_PUBLISH)
WRITING = {each.sha for each in SCRIPTS}


class Writes:
    """Each command that a script of ours did: the epoch under which it was let through.

    `unguarded` are those that wrote market data outside of a script, where nothing asks for one.
    """

    def __init__(self):
        self.epochs = []
        self.unguarded = []
        self._epoch = None

    def see(self, command):
        """Take one line of MONITOR: who sent it, and what."""
        words = command["command"].split(" ")
        if command["client_type"] == "lua":
            if self._epoch and words[0].upper() not in READING:
                self.epochs.append(self._epoch)
        elif words[0].upper() == "EVALSHA" and words[1] in WRITING:
            # the number of keys, the keys, and the first argument of each of these: its epoch
            self._epoch = int(words[3 + int(words[2])] or 0)
        else:
            self._epoch = None
            if words[0].upper() not in READING and "".join(words[1:2]).startswith(OF_MARKET):
                self.unguarded.append(" ".join(words[:2]))


@contextmanager
def monitored(redis):
    """Watch what is written while the block lasts."""
    writes = Writes()
    for script in SCRIPTS:
        redis.script_load(script.text)  # else the first call sends the text, not the hash
    with own_client(redis, LONGEST_SILENCE_SECONDS) as client, client.monitor() as monitor:

        def watch():
            with suppress(RedisError, ValueError, OSError, AttributeError):  # it was closed
                for command in monitor.listen():
                    writes.see(command)

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        yield writes
        monitor.connection.disconnect()
        thread.join(5)
