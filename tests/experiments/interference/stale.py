"""All ways in which the holder of an exchange writes, to try them once it has been deposed."""

import time
from contextlib import closing

from exchanges.lock.acquire import ExchangeLock
from exchanges.lock.control_client import ControlClient
from exchanges.lock.control_reader import ControlReader
from exchanges.lock.fencing import Fenced
from exchanges.lock.status import State
from livermore.market.candle import Ticker
from tests.warmup.live.sink.played import (
    BTC,
    EXCHANGE,
    M1,
    NOW,
    PAIR,
    Rest,
    at,
    bar,
    closed,
    still_open,
)
from warmup.cache.candles import CandleCache
from warmup.cache.indicators import IndicatorCache
from warmup.live.sink import CandleSink
from warmup.scanner import CandleStatusResult
from warmup.schedule import WarmupScheduleBuilder
from warmup.stats import WarmupStats, WarmupStatsPublisher

FLUSHES, SECONDS_BETWEEN_FLUSHES = 20, 0.05
SILENT = {"status"}  # is not written, and nobody is told: a status is news, not data


class Holder:
    """What one holder writes with, made while it has the lock."""

    def __init__(self, redis):
        self.lease = ExchangeLock(redis, EXCHANGE).acquire()
        epoch = self.lease.epoch
        self.cache = CandleCache(redis, EXCHANGE, epoch)
        self.indicators = IndicatorCache(redis, EXCHANGE, epoch)
        self.schedules = WarmupScheduleBuilder(redis, EXCHANGE, epoch)
        self.stats = WarmupStatsPublisher(redis, WarmupStats(EXCHANGE), epoch=epoch)
        self.sink = CandleSink(redis, EXCHANGE, Rest(), epoch)
        self.sink.connected([PAIR])
        self.client = ControlClient(redis, EXCHANGE)
        self.reader = ControlReader(redis, EXCHANGE, self.lease)
        self.commands = self._ordered(8)

    def ways(self, number):
        """Return what it can do, by name; of another `number` it writes something else."""
        return {
            "candles of REST": lambda: self.cache.write(BTC, M1, [bar(number - 9)]),
            "coverage alone": lambda: self.cache.write(BTC, M1, [], ((at(-9), at(number - 8)),)),
            "what is unconfirmed": lambda: self.cache.note_traded(
                PAIR, ((at(number + 3), at(number + 4)),), NOW
            ),
            "coverage cut back": lambda: self.cache.cut_back(PAIR, at(-9 - number), at(number)),
            "a warmup's schedule": lambda: self._schedule(number),
            "a warmup's stats": self.stats.write,
            "a close of the stream": lambda: self._streamed(closed(number)),
            "an open candle": lambda: self._streamed(still_open(number + 1)),
            "a ticker": lambda: self._ticker(number),
            "an indicator": lambda: self.indicators.write_many({PAIR: {"timestamp": number + 1}}),
            "an indicator taken away": lambda: self.indicators.write_many({PAIR: None}),
            "status": lambda: self.lease.report(State.ACTIVE, f"number {number}"),
            "taking a command": self.reader.poll,
            "progress of a command": lambda: self.reader.reply(self.commands[number], number),
            "the result of a command": lambda: self.reader.done(self.commands[2 + number]),
            "the failure of a command": lambda: self.reader.fail(self.commands[4 + number], "no"),
        }

    def close(self):
        self.sink._healer.close()
        self.reader.close()

    def _ordered(self, count):
        for number in range(count):
            self.client.send("force-backfill", symbol=f"S{number}-USD")
        return self.reader.poll()

    def _schedule(self, count):
        self.schedules.build_and_persist([CandleStatusResult(BTC, M1, count, False)])

    def _streamed(self, update):
        candle = update.candle
        self.sink.clock(candle.close_time_ms if update.closed else candle.timestamp)
        self.sink.candle(update)
        self.sink.flush()
        for _ in range(0 if update.closed else FLUSHES):  # it is written a few times a second
            time.sleep(SECONDS_BETWEEN_FLUSHES)
            self.sink.flush()

    def _ticker(self, number):
        self.sink.ticker(Ticker(BTC, 100.0 + number, 1.0, 1.0, 200.0, 1.0, 1.0, NOW))
        self.sink.flush()


def faults_of_stale_writes(redis):
    """Yield each write of a deposed holder that was not refused, and each that never worked."""
    redis.flushall()
    with closing(Holder(redis)) as old:
        for name, write in old.ways(0).items():
            if not _changes(redis, old, write)[0]:
                yield f"{name}: changes nothing even with the lock, so this shows nothing"
        new = ExchangeLock(redis, EXCHANGE).take_over(old.lease.holder.instance_id, "tried")
        for name, write in old.ways(1).items():
            changed, refused = _changes(redis, old, write)
            if changed or refused == (name in SILENT):
                yield f"{name}: {'written' if changed else 'not refused'} under an old epoch"
        old.lease.start().recheck()
        if not old.lease.lost.wait(5):
            yield "renewing the lock under an old epoch was not refused"
        old.lease.release()
        if ExchangeLock(redis, EXCHANGE).holder() != new.holder:
            yield "the old holder released its successor's lock"


def _changes(redis, holder, write):
    """Return whether a write changed anything, and whether it was refused."""
    holder.client.send("stop")  # so that there is a command to take
    before, refused = _content(redis), False
    try:
        write()
    except Fenced:
        refused = True
    return _content(redis) != before, refused


def _content(redis):
    return {key: redis.dump(key) for key in redis.scan_iter()}
