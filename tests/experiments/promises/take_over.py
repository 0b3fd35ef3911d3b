"""When the process that runs exchanges is killed, another agent has them within 15 s; one that
stands still for less than its lease keeps them; and where they are moved on purpose no close waits
for that. None is lost or told twice.

Four exchanges, two agents with the lease that they really have: the one that runs them is killed
by SIGKILL with all of its processes, so that none of them can give anything back, and a new one
begins to wait. It took over where the first frame of another agent is in Redis; of so many symbols
one trades in most seconds, so that this is hardly a wait for the exchange. Then the one that runs
them is stopped for 5 and for 10 seconds, with an agent waiting. Commands are counted that waiting
agents send to Redis while nothing happens. Last, agents are told to end just before a minute does
(SIGTERM), and every second time are asked to let another one take over; how late closes are told
then is compared with those of the minutes before. Of Coinbase's protocol, which tells no close,
those count for the comparison with the truth alone.
`tests/exchanges/lock/test_watch.py` and `tests/warmup/runner/test_agent.py` show each for a short
while.
"""

import os
import signal
import statistics
import time
from collections import Counter
from contextlib import ExitStack

import orjson
from django.db.models.functions import Now

from exchanges.lock.acquire import ExchangeLock
from exchanges.models import Exchange
from exchanges.sandbox.market.listings import TRADING
from exchanges.sandbox.protocols import PROTOCOLS
from exchanges.sandbox.symbols import listings
from livermore.market import keys
from livermore.market.timeframe import Timeframe
from tests.experiments.outcome import Outcome, faults_of
from tests.warmup.runners import (
    MINUTE_MS,
    Comparison,
    end,
    make_row,
    processes,
    serve,
    wait_until,
)
from warmup.runner.agents import read_agents

QUICK = {"kills": 1, "stops": (), "waiting": 1, "moves": 1, "symbols": 3, "idle_seconds": 1}
NAMES = ("binance", "binance_us", "coinbase", "sandbox")
AT_WORST_SECONDS, IN_THE_MEDIAN_SECONDS = 15.0, 10.0
SECONDS_TO_BEGIN = 60
SECONDS_BETWEEN_KILLS = 3.0
HANDOVER_SECONDS = 20  # as the unit of systemd has it
QUIET_MINUTES = 3  # before the first move
SECONDS_BEFORE_CLOSES = (1.2, 0.8, 0.4)  # in turn, as a move takes about as long
SECONDS_BETWEEN_MOVES = 15
LATER_MS = 100  # for a move


def run(redis, folder, kills=6, stops=(5, 10), waiting=8, moves=6, symbols=40, idle_seconds=20):
    chosen = traded_everywhere(symbols)
    with (
        serve(speed=1, listings=chosen) as sandbox,
        processes() as manage,
    ):
        names = [listing.symbol for listing in chosen]
        rows = [make_row(sandbox, name, names, wanted=Exchange.Wanted.RUNNING) for name in NAMES]
        trial = Trial(redis, sandbox, rows, names, lambda: manage("agent"))
        faults = faults_of("killed", trial.kill, kills)
        for seconds in stops:
            faults += faults_of(f"stopped for {seconds} s", trial.stand_still, seconds)
        faults += faults_of("waiting", trial.count_commands, waiting, idle_seconds)
        faults += faults_of("compared", trial.compare)
        trial.end()
        numbers = trial.numbers
    redis.flushall()
    with serve(speed=1, listings=chosen) as sandbox, processes() as manage:
        for row in rows:
            make_row(sandbox, row.name, names, wanted=Exchange.Wanted.RUNNING)
        os.environ["LIVERMORE_HANDOVER_SECONDS"] = str(HANDOVER_SECONDS)
        trial = Trial(redis, sandbox, rows, names, lambda: manage("agent"))
        faults += faults_of("moved", trial.move, moves)
        faults += faults_of("compared after moves", trial.compare)
        trial.end()
    return Outcome(
        f"An agent that runs {len(rows)} exchanges with {len(chosen)} symbols each was killed "
        f"{kills} times; it was stopped for {' and '.join(map(str, stops))} s. They were moved "
        f"{moves} times.",
        numbers | trial.numbers,
        faults,
    )


def traded_everywhere(symbols):
    """Return about so many listings, those that trade on each of the exchanges."""
    return tuple(
        listing
        for listing in listings(symbols)
        if listing.status == TRADING and all(listing.is_on(protocol.name) for protocol in PROTOCOLS)
    )


class Trial:
    """Agents that share the exchanges, and what becomes of these when one is killed or stopped."""

    def __init__(self, redis, sandbox, rows, symbols, begin):
        self._redis, self._rows, self._symbols, self._begin = redis, rows, symbols, begin
        self._truths = [Comparison(redis, sandbox, row, symbols) for row in rows]
        self._sandbox = sandbox
        self._agents = {}
        self.numbers = {}

    def kill(self, kills):
        """Kill whoever runs the exchanges, again and again; yield where it took too long."""
        seconds = []
        self._grow(1)
        self._wait_for_all()
        self._grow(2)
        for _ in range(kills):
            self._wait(SECONDS_BETWEEN_KILLS)
            seconds += self._take_over(self._busiest())
            self._grow(2)
        worst, median = max(seconds), statistics.median(seconds)
        self.numbers |= {
            "take-overs after SIGKILL": len(seconds),
            "seconds to the first frame of another agent, median": round(median, 2),
            "seconds to the first frame of another agent, at worst": round(worst, 2),
        }
        if worst > AT_WORST_SECONDS:
            yield f"{worst:.1f} s to the first frame at worst"
        if median > IN_THE_MEDIAN_SECONDS:
            yield f"{median:.1f} s to the first frame in the median"

    def stand_still(self, seconds):
        """Stop whoever runs most exchanges for a while; yield where it has lost one for it."""
        pids, before = self._pids(self._busiest()), self._locks()
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        self._wait(seconds)
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        self._wait(3)
        for row, was, now in zip(self._rows, before, self._locks(), strict=True):
            if was != now:
                yield f"{row.name} was lost"

    def count_commands(self, waiting, idle_seconds):
        """Count what agents that wait send to Redis while nothing happens."""
        self._grow(0)
        with ExitStack() as stack:
            for row in self._rows:
                stack.enter_context(ExchangeLock(self._redis, row.pk).acquire())
            before = self._commands_in(idle_seconds)
            self._grow(waiting)
            self._wait(3)
            more = self._commands_in(idle_seconds) - before
            self.numbers |= {
                "agents that waited": waiting,
                "commands/s of one that waits for four exchanges": round(more / waiting, 1),
            }
            self._grow(0)
        self._grow(1)
        yield from ()

    def move(self, moves):
        """Let exchanges be moved as a minute ends; yield where closes were late for that."""
        self._grow(1)
        self._wait_for_all()
        self._grow(2)
        since_ms = Timeframe.M1.ceil(self._sandbox.clock.now_ms())
        first_ms = since_ms + QUIET_MINUTES * MINUTE_MS
        self._wait((first_ms - self._sandbox.clock.now_ms()) / 1000 - SECONDS_BETWEEN_MOVES)
        for number in range(moves):
            now_ms = self._sandbox.clock.now_ms()
            ends_ms = Timeframe.M1.ceil(now_ms + 1000 * SECONDS_BETWEEN_MOVES)
            self._wait((ends_ms - now_ms) / 1000 - SECONDS_BEFORE_CLOSES[number // 2 % 3])
            before = self._locks()
            if number % 2 == 0:
                said = end(self._agents.pop(self._busiest()), seconds=30)
                if "ERROR" in said[2]:
                    yield f"who ended said {said[2]}"
            else:
                for row, lock in zip(self._rows, before, strict=True):
                    Exchange.objects.filter(pk=row.pk).update(
                        wanted_at=Now(), take_over_from=lock["instanceId"], take_over_reason="moved"
                    )
            wait_until(lambda was=before: self._all_moved(was), SECONDS_TO_BEGIN)
            self._grow(2)
        self._wait_for_all()
        found = self._delays()
        before = [ms for end_ms, ms in found if since_ms < end_ms < first_ms]
        around = [ms for end_ms, ms in found if end_ms >= first_ms]
        self.numbers |= {
            "moves of four exchanges": moves,
            "closes told in these minutes": len(around),
            "latest close in them, ms": round(max(around)),
            "latest close in the minutes before, ms": round(max(before)),
        }
        if max(around) > max(before) + LATER_MS:
            yield f"a close was told {max(around):.0f} ms after its end"

    def end(self):
        self._grow(0)

    def _all_moved(self, before):
        return all(
            now and was and now["instanceId"] != was["instanceId"]
            for was, now in zip(before, self._locks(), strict=True)
        )

    def _delays(self):
        """Return when each minute ended that was told, and how late it was, in ms.

        Of the exchanges alone whose stream tells closes.
        """
        ahead_ms = self._sandbox.clock.now_ms() - time.time() * 1000
        found = []
        for row in self._rows:
            if row.venue == "coinbase":
                continue
            for entry_id, fields in self._redis.xrange(keys.events(row.pk)):
                event = orjson.loads(fields[b"event"])
                if event["timeframe"] == "1m":
                    end_ms = event["timestamp"] + MINUTE_MS
                    told_ms = int(entry_id.partition(b"-")[0])
                    found.append((end_ms, told_ms + ahead_ms - end_ms))
        return found

    def compare(self):
        until_ms = self._sandbox.clock.now_ms()
        for row, truth in zip(self._rows, self._truths, strict=True):
            truth.wait(until_ms, SECONDS_TO_BEGIN)
            yield from (f"{row.name}: {text}" for text in truth.faults())

    # --

    def _take_over(self, agent):
        """Kill an agent; return after how many seconds each of its exchanges had a frame again."""
        pids = self._pids(agent)
        rows = [
            row
            for row, lock in zip(self._rows, self._locks(), strict=True)
            if lock and lock["pid"] in pids
        ]
        with self._redis.pubsub(ignore_subscribe_messages=True) as received:
            of_channel = {
                keys.candle_channel(row.pk, symbol, "1m").encode(): row.pk
                for row in rows
                for symbol in self._symbols
            }
            received.subscribe(*of_channel)
            wait_until(lambda: received.get_message() is None)
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
            end(self._agents.pop(agent), signal.SIGKILL)
            killed_at = time.monotonic()
            while received.get_message():
                pass  # what it had sent before
            found = {}
            while len(found) < len(rows):
                assert time.monotonic() - killed_at < SECONDS_TO_BEGIN, "waited in vain"
                if message := received.get_message(timeout=1):
                    found.setdefault(of_channel[message["channel"]], time.monotonic() - killed_at)
        return list(found.values())

    def _grow(self, count):
        """Let so many agents be alive."""
        while len(self._agents) > count:
            holders = self._holders()
            pid = min(self._agents, key=lambda each: holders[each])
            end(self._agents.pop(pid), seconds=30)
        while len(self._agents) < count:
            started = self._begin()
            self._agents[started.pid] = started
        wait_until(
            lambda: set(self._agents) <= {each.pid for each in read_agents(self._redis)},
            SECONDS_TO_BEGIN,
        )

    def _wait_for_all(self):
        wait_until(lambda: self._holders().total() == len(self._rows), SECONDS_TO_BEGIN)

    def _busiest(self):
        """Return the agent that runs most of the exchanges, once it says that it does."""
        return wait_until(lambda: self._holders().most_common(1))[0][0]

    def _holders(self):
        """Count the exchanges that each agent runs, in whichever of its processes."""
        pids = {pid: agent for agent in self._agents for pid in self._pids(agent)}
        return Counter(pids[lock["pid"]] for lock in self._locks() if lock and lock["pid"] in pids)

    def _pids(self, agent):
        """Return an agent's processes, itself first."""
        found = next((each for each in read_agents(self._redis) if each.pid == agent), None)
        return [agent, *(each.pid for each in found.processes)] if found else [agent]

    def _locks(self):
        texts = [self._redis.get(keys.lock(row.pk)) for row in self._rows]
        return [orjson.loads(text) if text else None for text in texts]

    def _commands_in(self, seconds):
        """Return how many commands a second Redis was sent, in so many seconds."""
        before, started = self._counted(), time.monotonic()
        self._wait(seconds)
        return (self._counted() - before) / (time.monotonic() - started)

    def _counted(self):
        return self._redis.info("stats")["total_commands_processed"]

    @staticmethod
    def _wait(seconds):
        until = time.monotonic() + seconds
        wait_until(lambda: time.monotonic() >= until, seconds + 5)
