"""One exchange's life: lock, warm, repair, indicators, stream, until it is told to end."""

import gc
import logging
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from typing import Any, NamedTuple

from django.conf import settings
from redis import Redis
from redis.exceptions import RedisError

from exchanges.adapters import ExchangeAdapterFactory
from exchanges.lock.acquire import ExchangeLock, Held
from exchanges.lock.fencing import Fenced
from exchanges.lock.lease import HandedOver, Lease
from exchanges.lock.presence import Presence
from exchanges.lock.status import Holder, State, read_status
from exchanges.models import Exchange
from exchanges.redis.client import close_idle, own_client
from exchanges.redis.server_watch import ServerWatch
from exchanges.redis.unreadable import foreign_key
from exchanges.rest.base import VenueRest
from exchanges.rest.clock import ExchangeClock
from exchanges.stream.base import VenueStream
from exchanges.stream.streamer import Streamer
from livermore.market import keys
from livermore.market.pair import Pair, pairs_of
from warmup.cache.candles import CandleCache
from warmup.live.background_repair import BackgroundRepair
from warmup.live.indicators import IndicatorFollower
from warmup.live.pairs.concluded import ConcludedBars
from warmup.live.redis_loss.written_lately import WrittenLately
from warmup.live.sink import NOBODYS, CandleSink
from warmup.live.stream_status import StreamStatus
from warmup.metrics.redis_server import read_memory
from warmup.repair import CandleRepair
from warmup.runner.added_symbols import HistoryFetcher
from warmup.runner.command_work import CommandWork
from warmup.runner.commands import RunnerCommands
from warmup.runner.listing_watch import ListingWatch
from warmup.runner.monitored import (
    LiveParts,
    MonitoredSymbols,
    listing_is_old,
    listing_times,
    rows_wanted,
    trading,
)
from warmup.runner.moving.shadow import Shadow, do_beside, learn_pace, streams
from warmup.runner.moving.succession import Departure, Succession
from warmup.runner.trouble import TroubleReport
from warmup.scanner import CandleStatusScanner
from warmup.service import SmartWarmupService
from warmup.stats import WarmupStats

logger = logging.getLogger(__name__)

STEP_SECONDS = 0.25
STEPS_PER_REPORT = 4
LEAVING_MS = 50  # between two looks whether it was taken over
LONGEST_CATCHING_UP_SECONDS = 120.0


class Streamed(NamedTuple):
    """A stream, what reads it, where it goes, and who asks and computes for it."""

    stream: VenueStream
    streamer: Streamer
    sink: CandleSink
    rest: VenueRest
    follower: IndicatorFollower


class ExchangeRunner:
    """Keeps one exchange warm and live in this process.

    It keeps what is monitored and trades, whatever `symbols` it was told; with `only` these alone.
    `run` blocks until `stop` is called, and raises what made it end otherwise: Held at the start,
    LostLock when somebody took over, or what the exchange or Redis said.
    """

    def __init__(
        self,
        redis: Redis,
        exchange: Exchange,
        symbols: Sequence[str],
        *,
        only: bool = False,
        on_warmup: Callable[[WarmupStats], None] = lambda stats: None,
        trouble: TroubleReport | None = None,
        lately: WrittenLately | None = None,
    ):
        """`lately` is what a runner of this process wrote before, which Redis may have lost."""
        self._redis = redis
        self._exchange = exchange
        self._symbols = list(symbols)
        self._only = only
        self._on_warmup = on_warmup
        self._lately = WrittenLately() if lately is None else lately
        self._trouble = trouble or TroubleReport(redis, exchange)
        number = exchange.pk
        self._own_redis = own_client(redis, None, f"runner:{number}")
        self._closes_redis = own_client(redis, None, f"closes:{number}")
        # Of the threads that come and go: its connections are closed when they have gone.
        self._burst_redis = own_client(redis, None, f"burst:{number}")
        self._factory = ExchangeAdapterFactory(self._burst_redis)
        self._stopping, self._leaving = threading.Event(), threading.Event()
        self._streams = False
        self.on_close: Callable[[], object] = lambda: None  # a turn has to follow what was told
        self._block_seconds = 0.0  # that a turn waits for closes
        self.instance_id = ""  # by which it holds the exchange's lock, while it does
        self._streamer: Streamer | None = None
        self._status: StreamStatus | None = None
        self._clock: ExchangeClock | None = None  # once it was asked
        self._monitored: MonitoredSymbols | None = None
        self._listing = ListingWatch(exchange, self._open_reporting_rest, self._listing_checked)

    def stop(self) -> None:
        """Let `run` end: last flush, release."""
        self._stopping.set()

    def leave(self) -> None:
        """Let `run` end; where somebody waits for what it streams, once that one streams it."""
        self._leaving.set()
        if not self._streams:
            self.stop()

    def run(self, take_over: str | None = None, reason: str = "", goes_on: bool = False) -> None:
        """Live: see the class. `take_over` is the instance id of the holder that this replaces.

        One that streams goes on until this does too: then nothing is late for it. With `goes_on`
        an exchange that was live a moment ago is streamed at once, and warmed beside that.
        """
        with closing(self.turns(take_over, reason, goes_on, STEP_SECONDS)) as turns:
            for _ in turns:
                pass

    def turns(
        self,
        take_over: str | None = None,
        reason: str = "",
        goes_on: bool = False,
        block_seconds: float = 0.0,
    ) -> Generator[bool, None, None]:
        """Live as `run` does, in turns: the first one lasts until it is live, the last one ends it.

        Each of the others waits so long for closes, and does what may wait for a moment. Each says
        whether the next one lasts long. Any thread may take it, but no two at once.
        """
        self._block_seconds = block_seconds
        lock = ExchangeLock(self._redis, self._exchange.pk, above=self._lately.epoch)
        try:
            if take_over and streams(self._redis, self._exchange.pk, take_over):
                yield from self._follow(lock, take_over, reason)
            else:
                # Its last word is kept for longer than it may stand still, and goes with its lock.
                was_live = (
                    goes_on and read_status(self._redis, self._exchange.pk).state is State.ACTIVE
                )
                taken = lock.take_over(take_over, reason) if take_over else lock.acquire()
                yield from self._hold(taken, self._go_on if was_live else self._live)
        except Exception as error:
            is_wanted = self._leaving.is_set() and isinstance(error, HandedOver)
            if not is_wanted and not self._stopping.is_set():  # else broken off as it was asked to
                raise
        finally:
            self._listing.close()
            for client in (self._burst_redis, self._own_redis, self._closes_redis):
                client.close()

    def _hold(
        self, taken: Lease, live: Callable[[Lease, Presence], Iterator[bool]]
    ) -> Iterator[bool]:
        with taken as lease, closing(Presence(self._redis, lease)) as presence:
            presence.keep_up(time.monotonic())
            lease.measure_with(self.measured)
            self._lately.epoch = lease.own_epoch
            self.instance_id = lease.holder.instance_id
            try:
                yield from live(lease, presence)
            except Exception as error:
                if self._stopping.is_set():
                    raise
                if isinstance(error, Fenced):  # refused before the heartbeat learned why
                    raise lease.loss() from error
                lease.report(State.ERROR, str(error))
                raise
            finally:
                self.instance_id = ""

    def measured(self) -> Mapping[str, Any]:
        """Return rates, lag and counters for the status."""
        if not self._status or not self._monitored:
            return {}
        return {"obeys": True, **self._status.as_json(), **self._monitored.as_json()}

    def _follow(self, lock: ExchangeLock, take_over: str, reason: str) -> Iterator[bool]:
        """Stream beside the holder; once all is there take the exchange from it, and go on.

        Raises Held where somebody else prepares that.
        """
        with ExitStack() as opened, ExitStack() as writing:
            with self._claimed(lock, take_over) as keep_up:
                self._check_redis()
                self._choose_symbols(keep_up)
                rest = opened.enter_context(closing(self._open_rest()))
                self._clock = rest.clock
                if not do_beside(partial(self._ask_about_now, rest), self._stopping, keep_up):
                    return
                live = self._open_stream(writing, rest, NOBODYS, lambda: False)
                shadow = Shadow(live.streamer, live.sink, live.follower)
                short = self._find_short()
                if not shadow.prepare(self._symbols, self._stopping, keep_up):
                    return
                taken = shadow.take(lambda: lock.take_over(take_over, reason))
            yield from self._hold(
                taken,
                lambda lease, presence: self._stream(lease, presence, live, writing, short),
            )

    @contextmanager
    def _claimed(self, lock: ExchangeLock, take_over: str) -> Iterator[Callable[[float], None]]:
        """Be the one who prepares to take over; yield what has to be called to go on to be that.

        Raises Held where somebody else is, now or by then.
        """
        succession = Succession(self._own_redis, self._exchange.pk, take_over)

        def keep_up(now: float) -> None:
            if not succession.keep_up(now):
                raise Held(self._exchange.pk, lock.holder() or Holder.unknown())

        try:
            keep_up(time.monotonic())
            yield keep_up
        finally:
            succession.end()

    def _ask_about_now(self, rest: VenueRest) -> None:
        rest.clock.settle()
        self._ask_limits(rest)

    def _unless_lost(self, lease: Lease, presence: Presence) -> Callable[[float], None]:
        """Return what is to be called, with what time it is, while something is waited for."""

        def keep_up(now: float) -> None:
            if lease.lost.is_set():
                raise lease.loss()
            presence.keep_up(now)

        return keep_up

    def _find_short(self) -> Iterable[str]:
        """Return the symbols of which too little is cached."""
        scan = CandleStatusScanner(self._own_redis, self._exchange.pk)
        found = scan.scan_exchange(self._symbols)
        return dict.fromkeys(each.symbol for each in found if each.needs_fetching)

    def _go_on(self, lease: Lease, presence: Presence) -> Iterator[bool]:
        """Stream at once; what closed meanwhile is asked for as after a cut of the connection."""
        lease.report(State.STARTING)
        self._check_redis()
        only = set(self._symbols) if self._only else None
        self._symbols = trading(rows_wanted(self._exchange, only))
        with closing(self._open_rest()) as rest, ExitStack() as writing:
            self._clock = rest.clock
            live = self._open_stream(writing, rest, lease.own_epoch, lease.may_write)
            live.streamer.start(self._symbols)
            keep_up = self._unless_lost(lease, presence)
            if not do_beside(partial(self._ask_about_now, rest), self._stopping, keep_up):
                return
            if not learn_pace(self._clock, self._stopping, keep_up):
                return
            live.follower.compute(pairs_of(self._symbols), self._stopping.is_set)
            yield from self._stream(lease, presence, live, writing, self._find_short())

    def _live(self, lease: Lease, presence: Presence) -> Iterator[bool]:
        lease.report(State.STARTING)
        self._check_redis()
        self._choose_symbols(self._unless_lost(lease, presence))
        server = ServerWatch(self._own_redis, keys.epoch(self._exchange.pk))
        server.has_changed()
        self._warm(lease, presence)
        while server.has_changed() and not self._stopping.is_set():
            self._warm(lease, presence)  # Redis may have lost what was written before
        if self._stopping.is_set():
            return
        self._give_back()
        with closing(self._open_rest()) as rest, ExitStack() as writing:
            assert self._clock is not None  # the warmup asked it
            self._clock.ask_ms = rest.server_time_ms
            lease.report(State.WARMING, "catching up", 100.0)
            keep_up = self._unless_lost(lease, presence)
            if not do_beside(self._clock.settle, self._stopping, keep_up):
                return
            live = self._open_stream(writing, rest, lease.own_epoch, lease.may_write)
            self._catch_up(lease, live.sink, live.streamer)
            if server.has_changed():
                live.sink.doubt()
            live.streamer.start()
            lease.report(State.WARMING, "computing indicators", 100.0)
            live.follower.compute(pairs_of(self._symbols), self._stopping.is_set)
            if not self._stopping.is_set():
                gc.collect()
                gc.freeze()  # a full collection takes long, and a burst of closes brings one about
            yield from self._stream(lease, presence, live, writing)

    def _open_stream(
        self, writing: ExitStack, rest: VenueRest, epoch: int, may_write: Callable[[], bool]
    ) -> Streamed:
        """Return a stream and what writes it, all of which `writing` ends."""
        stream = self._factory.stream(self._exchange)
        sink = self._make_sink(rest, stream, epoch, may_write)
        writing.callback(sink.close)
        streamer = Streamer(stream, sink, rest)
        writing.callback(streamer.stop)
        follower = IndicatorFollower(self._own_redis, self._exchange.pk, epoch, may_write)
        return Streamed(stream, streamer, sink, rest, follower)

    def _make_sink(
        self, rest: VenueRest, stream: VenueStream, epoch: int, may_write: Callable[[], bool]
    ) -> CandleSink:
        number, rolls_up_from = self._exchange.pk, stream.rolls_up_from
        sink = CandleSink(
            *(self._closes_redis, number, rest, epoch, may_write, rolls_up_from),
            on_close=lambda *_close: self.on_close(),
        )
        sink.heal_by(self._burst_redis, self._give_back)
        sink.remember_in(self._lately)
        return sink

    def _choose_symbols(self, keep_up: Callable[[float], None]) -> None:
        """Begin with what trades, by a listing that is not old if it can be had.

        `keep_up` is called meanwhile, with what time it is, monotonic.
        """
        only = set(self._symbols) if self._only else None
        rows = rows_wanted(self._exchange, only)
        self._listing.step(listing_is_old(rows, *listing_times(self._exchange)))
        while self._listing.checking and not self._stopping.wait(STEP_SECONDS / 10):
            keep_up(time.monotonic())
        self._symbols = trading(rows_wanted(self._exchange, only))

    def _open_rest(self) -> VenueRest:
        """Return a client that tells the time by the one clock of this runner.

        Where it meets an unknown symbol, it lets the listing be looked at.
        """
        rest = self._open_reporting_rest()
        rest.clock = self._clock or rest.clock
        rest.on_unknown_symbol = lambda symbol: self._listing.doubt([symbol])
        return rest

    def _open_reporting_rest(self) -> VenueRest:
        """Open a client whose failures are told to those who look."""
        rest = self._factory.rest(self._exchange)
        self._trouble.observe(rest)
        return rest

    def _listing_checked(self) -> None:
        """Learn that the listing was looked at."""
        if self._monitored and self._streamer:
            self._streamer.retry_given_up()  # maybe it takes by now what it had refused
            self._monitored.trigger()

    def _catch_up(self, lease: Lease, sink: CandleSink, streamer: Streamer) -> None:
        """Let the sink fetch and tell what closed while nobody ran the exchange.

        It is streamed meanwhile, as far as it is connected: to subscribe much takes seconds. What
        isn't there in time is asked for again once it is.
        """
        pairs = pairs_of(self._symbols)
        sink.catch_up(pairs)
        streamer.add(self._symbols)
        deadline = time.monotonic() + LONGEST_CATCHING_UP_SECONDS
        while sink.asking() or sink.pending():
            if lease.lost.is_set() or time.monotonic() > deadline:
                break
            if self._stopping.wait(STEP_SECONDS / 10):
                break
            streamer.step()
        sink.disconnected(set(pairs) - streamer.streamed())

    def _stream(
        self,
        lease: Lease,
        presence: Presence,
        streamed: Streamed,
        writing: ExitStack,
        short: Iterable[str] = (),
    ) -> Iterator[bool]:
        """Keep live what is streamed; of symbols that are `short` the history is fetched.

        In the end what waits to be written goes first, by `writing`: anything else may be waiting
        for an exchange that does not answer, and who waits for too long is killed.
        """
        streamer, sink, follower = streamed.streamer, streamed.sink, streamed.follower

        def written(pair: Pair) -> None:
            follower.changed(pair)
            sink.repaired(pair)

        under = (lease.own_epoch, sink.final_until, written)
        number, burst = self._exchange.pk, (self._burst_redis, self._give_back)
        history = HistoryFetcher(burst[0], number, self._open_rest, *under, burst[1])
        live = LiveParts(*streamed, history, self._listing)
        monitored = MonitoredSymbols(self._exchange, live, self._symbols, self._only)
        cache = CandleCache(self._burst_redis, number, *under)
        work = CommandWork(
            *(self._burst_redis, self._exchange, monitored, cache),
            *(self._open_rest, sink.heal_now),
        )
        commands = RunnerCommands(
            self._own_redis, self._exchange, lease, work, self.stop, self._give_back
        )
        looked_at = CandleCache(self._own_redis, number, *under)  # all the time, by this thread
        background = BackgroundRepair(
            *(self._own_redis, number, looked_at, sink, self._open_rest),
            lambda: monitored.fetched,
            self._give_back,
        )
        if streamed.stream.concludes_bars:
            background.concluded = ConcludedBars(looked_at)
        self._status, self._streamer = StreamStatus(streamer, sink), streamer
        self._monitored = monitored
        if short:
            history.want(short)
        logger.info(
            "runner.streaming exchange=%s symbols=%d streams=%d epoch=%d",
            self._exchange.name, len(self._symbols), streamer.counters()["streams"], lease.epoch,
        )  # fmt: skip

        def look_anew() -> None:
            """Compare all with the exchange: Redis may have lost what REST had told."""
            for pair in pairs_of(monitored.running):
                follower.changed(pair)
            history.want(monitored.running)
            background.look_again()

        sink.on_loss = look_anew
        if sink.loss_count:
            look_anew()
        try:
            steps = (commands.step, monitored.keep_up, background.keep_up, presence.keep_up)
            try:
                yield from self._watch(lease, streamer, follower, lambda: commands.doing, steps)
            except (KeyboardInterrupt, SystemExit, GeneratorExit):  # the last between two turns
                self._leave_to_others(lease, streamer, follower)
                raise
            if not self._stopping.is_set():
                self._leave_to_others(lease, streamer, follower)
        finally:
            lease.report(State.STOPPING)
            writing.close()
            background.close()
            commands.close()
            history.close()

    def _check_redis(self) -> None:
        """Raise where a key of the exchange is none of ours; warn where Redis may drop some."""
        if foreign := foreign_key(self._own_redis, self._exchange.pk):
            raise foreign
        memory = read_memory(self._own_redis)
        if memory and memory.evicts:
            logger.warning(
                "runner.redis_evicts exchange=%s policy=%s maxmemory=%d used=%d",
                self._exchange.name, memory.evicts, memory.limit, memory.used,
            )  # fmt: skip

    def _ask_limits(self, rest: VenueRest) -> None:
        if ask_limits := rest.client.pacer.ask_limits:
            ask_limits()  # a start may need no call that would, and who looks wants them

    def _warm(self, lease: Lease, presence: Presence) -> None:
        redis = self._burst_redis
        cache = CandleCache(redis, self._exchange.pk, lease.own_epoch)
        with closing(self._open_rest()) as rest:
            self._clock = rest.clock
            keep_up = self._unless_lost(lease, presence)
            if not do_beside(partial(self._ask_limits, rest), self._stopping, keep_up):
                return

            def show(stats: WarmupStats) -> None:
                lease.report(State.WARMING, "warming", stats.percent)
                presence.keep_up(time.monotonic())
                self._on_warmup(stats)
                if self._stopping.is_set() or lease.lost.is_set():
                    rest.close()  # whoever waits for a turn wakes, and the warmup ends

            number = self._exchange.pk
            service = SmartWarmupService(redis, number, rest, on_progress=show, cache=cache)
            service.warmup(self._symbols)
            lease.report(State.WARMING, "repairing", 100.0)

            def repaired(done: int, total: int) -> None:
                lease.report(State.WARMING, "repairing", 100.0, done=done, total=total)

            repair = partial(
                CandleRepair(redis, number, rest, cache=cache).repair,
                *(self._symbols, None),
                holes_only=True,
                on_pair=repaired,
            )
            do_beside(repair, self._stopping, keep_up)

    def _watch(
        self,
        lease: Lease,
        streamer: Streamer,
        follower: IndicatorFollower,
        doing: Callable[[], dict[str, Any] | None],
        steps: Sequence[Callable[[float], None]],
    ) -> Iterator[bool]:
        """Do in turn all that may wait for a moment: neither the heartbeat nor closes wait for it.

        `doing` tells which command is under way; `steps` take what time it is, monotonic.
        """
        next_report_at, self._streams = 0.0, True
        while not self._stopping.is_set() and not self._leaving.is_set():
            if lease.lost.is_set():
                raise lease.loss()
            if streamer.error:
                raise streamer.error
            now = time.monotonic()
            if now >= next_report_at:
                lease.report(State.ACTIVE, "streaming", order=doing())
                next_report_at = now + STEPS_PER_REPORT * STEP_SECONDS
            for step in steps:
                step(now)
            if not follower.follow(round(1000 * self._block_seconds)):
                self._stopping.wait(self._block_seconds)
            yield False

    def _leave_to_others(
        self, lease: Lease, streamer: Streamer, follower: IndicatorFollower
    ) -> None:
        """Go on to stream while somebody prepares to take over, but not for long."""
        departure = Departure(self._own_redis, lease)
        until = time.monotonic() + settings.LIVERMORE_HANDOVER_SECONDS
        try:
            if not departure.offer():
                return
            lease.report(State.ACTIVE, "leaving it to another agent")
            while departure.goes_on(now := time.monotonic()) and now < until:
                if lease.lost.is_set() or streamer.error:
                    break
                follower.follow(LEAVING_MS)
            else:
                return
        except RedisError as error:
            logger.warning("runner.not_offered exchange=%s error=%s", self._exchange.name, error)
            return
        except Fenced:
            pass
        lease.loss()  # it learns by whom

    def _give_back(self) -> None:
        """Close the connections to Redis that were opened for what is done by now."""
        for redis in (self._redis, self._burst_redis, self._own_redis):
            close_idle(redis)
