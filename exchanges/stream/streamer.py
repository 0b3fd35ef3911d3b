"""Many connections as one stream: which of them carries what."""

import logging
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import TypeVar

from exchanges.errors import Temporary
from exchanges.lock.fencing import Fenced
from exchanges.stream.base import Topic, VenueStream
from exchanges.stream.connection import REASONS, Connection
from exchanges.stream.lane import Lane, Sink, Trouble
from exchanges.stream.silence import Trades
from exchanges.stream.wire.reader import Reader
from livermore.market.pair import Pair

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

PUMP_SECONDS = 0.05  # between two rounds; what may close a bar is read at once
END_SECONDS = 1.0  # for connections that are still being made
ROUNDS = 5  # so often what is open is read, of which the newest will do
SWITCH_SECONDS = 0.0005  # so long another thread of the process may keep a close waiting
COUNTED = ("frames", "malformed", "unknown", "lost", "reconnects")


class StreamEnded(Temporary):
    """What was to be done between two rounds is not: there is none any more."""


class Streamer:
    """Streams an exchange's symbols into a sink until it is stopped; never gives up.

    `start` returns at once: one thread pumps, one reads all connections. Other methods may be
    called from any thread.
    """

    def __init__(self, stream: VenueStream, sink: Sink, trades: Trades | None = None):
        """`trades` is asked, in a thread of its own, where nothing comes that used to come."""
        self.error: BaseException | None = None  # what ended the pump, None while all is well
        self._stream = stream
        self._sink = sink
        self._trades = trades
        self._reader = Reader()
        self._round = 0
        self._lanes: list[Lane] = []
        self._symbols: dict[str, None] = {}
        self._told_for: dict[str, list[str]] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._woken = threading.Event()
        self._asked_of_pump: SimpleQueue[tuple[Callable[[], object], Future]] = SimpleQueue()
        self._ended = threading.Event()
        self._next_connect_at = float("-inf")
        self._thread = threading.Thread(target=self._run, name="streamer", daemon=True)

    def start(self, symbols: Iterable[str] = ()) -> None:
        """Begin to stream `symbols`, and those that were added before.

        Until then whoever calls `step` again and again does what the pump will do.
        """
        self.add(symbols)
        self._thread.start()

    def stop(self, seconds: float = 3.0) -> None:
        """End all connections; what came before is handed to the sink."""
        self._stopping.set()
        self._woken.set()
        if self._thread.ident is None:
            self._end()
        else:
            self._thread.join(seconds)

    def between_rounds(self, work: Callable[[], Result]) -> "Future[Result]":
        """Let the thread that calls the sink do `work` at once; return where its result will be.

        That may be cancelled until it is begun. Where the stream ends before, it is StreamEnded.
        """
        future: Future = Future()
        self._asked_of_pump.put((work, future))
        self._woken.set()
        if self._ended.is_set():
            self._refuse_what_is_asked()
        return future

    def add(self, symbols: Iterable[str]) -> None:
        """Stream more symbols; the others are not touched."""
        with self._lock:
            self._share_out(self._symbols | dict.fromkeys(symbols))

    def remove(self, symbols: Iterable[str]) -> None:
        """Stream these symbols no longer; the others are not touched."""
        with self._lock:
            gone = set(symbols)
            self._share_out({symbol: None for symbol in self._symbols if symbol not in gone})

    def retry_given_up(self) -> None:
        """Look again what the symbols are called, and ask once more for what was refused.

        To be called where the listing was looked at anew.
        """
        with self._lock:
            self._share_out(self._symbols)
            for lane in self._lanes:
                lane.retry_given_up()

    def polled(self) -> set[Pair]:
        """Return the pairs that the exchange refuses to stream: REST is asked for their bars."""
        with self._lock:
            return {pair for lane in self._lanes for pair in lane.polled}

    def streamed(self) -> set[Pair]:
        """Return the pairs that the sink was told to be streamed or polled."""
        with self._lock:
            return {pair for lane in self._lanes for pair in lane.streamed | lane.polled}

    def trouble(self) -> Trouble | None:
        """Return why there is no connection where one failed, None else."""
        with self._lock:
            found = (lane.trouble for lane in self._lanes if not lane.connected)
            return next(filter(None, found), None)

    def counters(self) -> Counter[str]:
        """Return what was counted so far, and what is now.

        So far frames, malformed, unknown, lost, reconnects; now connections, those that are silent
        although something is due, streams, and polled pairs.
        """
        with self._lock:
            total = _sum(COUNTED, (lane.counters for lane in self._lanes))
            total["connections"] = sum(lane.connected for lane in self._lanes)
            total["silent"] = sum(lane.silent for lane in self._lanes)
            total["streams"] = sum(len(lane.topics) for lane in self._lanes)
            total["polled"] = sum(len(lane.polled) for lane in self._lanes)
            return total

    def refused(self) -> Counter[str]:
        """Return how many frames were not taken so far, by reason; `unknown` could be read."""
        with self._lock:
            total = _sum(REASONS, (lane.refused for lane in self._lanes))
            total["unknown"] = sum(lane.counters["unknown"] for lane in self._lanes)
            return total

    def step(self) -> None:
        """Do one round: see to every lane, then let the sink work."""
        with self._lock:
            now = time.monotonic()
            self._round += 1
            for lane in self._lanes:
                nameless = self._round % ROUNDS != 0
                lane.step(now, nameless=nameless, between=self._read_closes_first)
            for lane in self._lanes:
                lane.announce(now)
            received_ms = min((lane.received_ms for lane in self._lanes if lane.pairs), default=0)
        self._sink.received_until(received_ms)
        self._sink.tick()

    def _read_closes_until(self, next_round_at: float) -> None:
        """Wait for the next round; meanwhile read what may close bars as soon as it comes."""
        while (now := time.monotonic()) < next_round_at and self._woken.wait(next_round_at - now):
            if self._stopping.is_set():
                return
            self._do_what_is_asked()
            with self._lock:
                self._read_closes()
            if not self._woken.is_set():  # else more of them are here
                self._sink.closed()

    def _read_closes(self) -> None:
        """Read what may close bars, of all lanes; open candles wait."""
        self._woken.clear()  # first: what comes from here on wakes again
        now = time.monotonic()
        for lane in self._lanes:
            lane.read_closes(now)

    def _read_closes_first(self) -> None:
        """Read and write what may close bars, if anything came since the round began."""
        if self._woken.is_set():
            self._read_closes()
            self._sink.closed()

    def _do_what_is_asked(self) -> None:
        for work, future in self._asked():
            try:
                future.set_result(work())
            except BaseException as error:  # its owner decides
                future.set_exception(error)

    def _refuse_what_is_asked(self) -> None:
        for _, future in self._asked():
            future.set_exception(StreamEnded("the stream has ended"))

    def _asked(self) -> Iterator[tuple[Callable[[], object], Future]]:
        """Take what waits, one after another, but what nobody waits for any more."""
        with suppress(Empty):
            while True:
                work, future = self._asked_of_pump.get_nowait()
                if future.set_running_or_notify_cancel():
                    yield work, future

    def _share_out(self, symbols: dict[str, None]) -> None:
        """Stream these symbols: each of their topics gets a lane; what has one keeps it."""
        topics = self._stream.topics(symbols)
        shares = [{t: topics[t] for t in lane.topics if t in topics} for lane in self._lanes]
        placed = set().union(*shares)
        for topic in (topic for topic in topics if topic not in placed):
            self._share_at(self._stream.address_of(topic), shares)[topic] = topics[topic]
        for lane, share in zip(self._lanes, shares, strict=True):
            lane.carry(share)
        self._symbols = symbols
        self._told_for.clear()
        self._told_for |= self._stream.told_for(symbols)

    def _share_at(
        self, address: str, shares: list[dict[Topic, list[Pair]]]
    ) -> dict[Topic, list[Pair]]:
        """Return the share of a lane to this address that has room; a new lane's where none has."""
        limit = self._stream.limits.topics_per_connection
        for lane, share in zip(self._lanes, shares, strict=True):
            if lane.address == address and len(share) < limit:
                return share
        self._lanes.append(self._lane(address))
        shares.append({})
        return shares[-1]

    def _lane(self, address: str) -> Lane:
        return Lane(
            self._stream,
            address,
            self._sink,
            self._may_connect,
            self._told_for,
            self._trades,
            partial(Connection, self._stream, reader=self._reader, wake=self._woken.set),
        )

    def _may_connect(self) -> bool:
        """Return whether a connection may be opened now, and count it as opened if so."""
        now, limits = time.monotonic(), self._stream.limits
        apart = limits.seconds_between_connects
        # Who has not connected for a while may do so a few times at once.
        next_at = max(self._next_connect_at, now - (limits.connects_at_once - 1) * apart)
        if now < next_at:
            return False
        self._next_connect_at = next_at + apart
        return True

    def _run(self) -> None:
        sys.setswitchinterval(SWITCH_SECONDS)
        try:
            while not self._stopping.is_set():
                self._woken.clear()
                self._do_what_is_asked()
                self.step()
                self._read_closes_until(time.monotonic() + PUMP_SECONDS)
        except Fenced as error:  # somebody else has the exchange: the runner says why
            self.error = error
            logger.info("streamer.fenced url=%s error=%s", self._stream.url, error)
        except Exception as error:
            self.error = error
            logger.error("streamer.ended url=%s error=%s", self._stream.url, error)
        finally:
            self._end()

    def _end(self) -> None:
        try:
            for lane in self._lanes:
                lane.close()
            ends_at = time.monotonic() + END_SECONDS  # of all: who stops this does not wait longer
            for lane in self._lanes:
                lane.join(max(0.0, ends_at - time.monotonic()))
        finally:
            self._ended.set()
            self._refuse_what_is_asked()


def _sum(names: Iterable[str], counters: Iterable[Counter[str]]) -> Counter[str]:
    """Return the sum; what never happened is in it too, as 0."""
    total = Counter(dict.fromkeys(names, 0))
    for each in counters:
        total.update(each)
    return total
