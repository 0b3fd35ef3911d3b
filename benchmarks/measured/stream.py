import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from benchmarks.fixtures.bench import Bench
from benchmarks.fixtures.live import NATIVE, PAIRS, Live, Usage, live, natives, peak_bytes
from benchmarks.fixtures.subscribing import StreamedPairs
from benchmarks.measurement import Measurement
from benchmarks.plain import frames as plain_frames
from benchmarks.plain import stream as plain_stream
from benchmarks.plain.rounds import in_rounds
from benchmarks.programs.helper import Helper
from benchmarks.programs.kline_frames import kline
from exchanges.klines.stream import KlineSession
from exchanges.stream.inbox import Inbox
from exchanges.stream.streamer import Streamer
from exchanges.stream.wire.websocket import WebSocket
from exchanges.venues.binance.stream import BinanceStream
from livermore.market.pair import pairs_of
from livermore.market.timeframe import Timeframe

LEAD_SECONDS = 12  # before the first bars close: there must be time to connect
SETTLE_SECONDS = 2
# Each ends between two minutes: ended while bars close, the feeder would count what it never sent.
USUAL_SECONDS, LONG_USUAL_SECONDS = 76, 590
FLOOD_SECONDS = 15
LOOP_SECONDS = 5
BURSTS = 3
# So many closes in one moment: symbols, the longest bar that closes, and what p99 may be, in ms.
AT_ONCE = ((505, Timeframe.M1, 10), (1005, Timeframe.M5, 20))
READINGS = 5
SUBSCRIBED, SECONDS_TO_SUBSCRIBE = 1005, 60
NOW_MS = 1_792_630_865_000
MB = 1_000_000


def measure(bench: Bench) -> Iterator[Measurement]:
    yield from _usual(bench, LONG_USUAL_SECONDS if bench.thorough else USUAL_SECONDS)
    for symbols, closing, target_ms in AT_ONCE:
        yield from _at_once(bench, symbols, closing, target_ms)
    yield from _bursts(bench)
    yield from _flood(bench)
    yield from _reading()
    yield from _subscribing(bench)


class Burst(NamedTuple):
    """How long closes of one moment took, how many were sent, and how many went astray."""

    delays_ms: list[float]
    events_delays_ms: list[float]
    sent: int
    astray: int


def _usual(bench: Bench, seconds: float) -> Iterator[Measurement]:
    with live(bench.redis, 1, "usual", LEAD_SECONDS, Timeframe.H1) as streaming:
        time.sleep(SETTLE_SECONDS)
        used = list(_usages(streaming, seconds))
        streaming.end()
        astray = streaming.astray()
    first, last = used[0], used[-1]
    took = last.at - first.at
    what = f"{(last.frames - first.frames) / took:,.0f} frames/s, share of a core"
    note = f"Redis: {100 * (last.redis_cpu_seconds - first.redis_cpu_seconds) / took:.2g} %"
    yield Measurement(what, 100 * (last.cpu_seconds - first.cpu_seconds) / took, "%", 5, note)
    yield from _delays(streaming)
    settled = used[len(used) // 3].resident_bytes
    note = f"over the last {took * 2 / 3:.0f} s, at {last.resident_bytes / MB:.0f} MB"
    yield Measurement("its growth of memory", (last.resident_bytes - settled) / MB, "MB", 5, note)
    yield _lost(streaming.sent, astray)


def _at_once(
    bench: Bench, symbols: int, closing: Timeframe, target_ms: float
) -> Iterator[Measurement]:
    """Let bars of many symbols close in one moment, read at once, and in rounds beside it."""
    closes = symbols * sum(each.ms <= closing.ms for each in Timeframe)
    with in_rounds() as streamer:
        before = [_burst(bench, 50, symbols, closing, streamer)]
    bursts = [_burst(bench, 51 + number, symbols, closing) for number in range(BURSTS)]
    for how, delays_of in (
        ("heard", lambda each: each.delays_ms),
        ("read of the events stream", lambda each: each.events_delays_ms),
    ):
        delays = sorted(ms for each in bursts for ms in delays_of(each))
        note = f"p50 {statistics.median(delays):.1f} ms, the last {delays[-1]:.1f} ms"
        yield Measurement(
            f"{closes:,} closes at once, {how} after, p99", _p99(delays), "ms", target_ms, note
        )
        rounds = sorted(ms for each in before for ms in delays_of(each))
        note = f"p50 {statistics.median(rounds):.1f} ms, the last {rounds[-1]:.1f} ms"
        yield Measurement("the same in rounds of 50 ms, p99", _p99(rounds), "ms", note=note)
    yield _lost(sum(each.sent for each in bursts), sum(each.astray for each in bursts))


def _burst(
    bench: Bench,
    number: int,
    symbols: int,
    closing: Timeframe,
    streamer: type[Streamer] = Streamer,
) -> "Burst":
    """Return what became of the closes of one moment."""
    closes = symbols * sum(each.ms <= closing.ms for each in Timeframe)
    lead_seconds = LEAD_SECONDS / 2 if symbols <= len(NATIVE) else LEAD_SECONDS
    with live(
        bench.redis, number, "burst", lead_seconds, closing, natives(symbols), streamer
    ) as streaming:
        deadline = time.monotonic() + 2 * LEAD_SECONDS
        while streaming.closes() < closes and time.monotonic() < deadline:
            time.sleep(0.1)
        streaming.end()
        return Burst(
            streaming.delays_ms, streaming.events_delays_ms, streaming.sent, streaming.astray()
        )


def _bursts(bench: Bench) -> Iterator[Measurement]:
    took, sent, astray = [], 0, 0
    for number in range(BURSTS):
        with live(bench.redis, 10 + number, "burst", LEAD_SECONDS / 2, Timeframe.D1) as streaming:
            deadline = time.monotonic() + LEAD_SECONDS
            while streaming.closes() < PAIRS and time.monotonic() < deadline:
                time.sleep(0.1)
            streaming.end()
            took.append(streaming.delays_ms[-1])
            sent += streaming.sent
            astray += streaming.astray()
    what = f"{PAIRS:,} closes at midnight, all published after"
    note = f"the worst of {', '.join(f'{each:.0f}' for each in sorted(took))}"
    yield Measurement(what, max(took), "ms", 250, note)
    yield _lost(sent, astray)


def _flood(bench: Bench) -> Iterator[Measurement]:
    with live(bench.redis, 2, "flood", LEAD_SECONDS, Timeframe.H1) as streaming:
        time.sleep(SETTLE_SECONDS)
        first, *_, last = _usages(streaming, FLOOD_SECONDS)
        streaming.end()
        astray = streaming.astray()
    peak = peak_bytes()
    with Helper("benchmarks.programs.feeder", "flood", LEAD_SECONDS, Timeframe.H1) as feeder:
        url = f"ws://127.0.0.1:{feeder.word}"
        feeds = BinanceStream(url, NATIVE).topics(NATIVE)
        topics = [topic for topic, pairs in feeds.items() if pairs]
        loop = plain_stream.rate(url, topics, bench.redis, LOOP_SECONDS)
    frames, took = last.frames - first.frames, last.at - first.at
    note = f"parsed: {(last.parsed - first.parsed) / took:,.0f}/s, the newest of each pair"
    yield Measurement("frames taken in", frames / took, "/s", at_least=60_000, note=note)
    used = 1e6 * (last.cpu_seconds - first.cpu_seconds) / frames
    note = f"Redis: {100 * (last.redis_cpu_seconds - first.redis_cpu_seconds) / took:.0f} %"
    yield Measurement("its CPU for 1,000 frames", used, "ms", note=note)
    yield Measurement("plain loop, one SET and one PUBLISH a frame", loop, "/s")
    yield Measurement("times as fast as that", frames / took / loop, at_least=15)
    yield from _delays(streaming, targets=False)
    yield Measurement("peak memory of all of this", peak / MB, "MB")
    yield _lost(streaming.sent, astray)


def _reading() -> Iterator[Measurement]:
    """Take frames off a socket: as a library does, and as here, up to where they are parsed."""

    def in_bulk(connection: socket.socket, count: int) -> None:
        inbox, reading = Inbox(KlineSession({}, BinanceStream.limits).superseded_by), True
        client = WebSocket(connection)
        connection.setblocking(True)  # nobody waits for it here
        while reading:
            inbox.put(client.receive())
            reading = inbox.received < count

    library = statistics.median(_reading_seconds(plain_frames.read) for _ in range(READINGS))
    ours = statistics.median(_reading_seconds(in_bulk) for _ in range(READINGS))
    per_frame = 1e6 / PAIRS
    what = "CPU for taking in a frame, of 20 that come together: websocket-client's recv"
    yield Measurement(what, per_frame * library, "µs")
    yield Measurement("the same in bulk, and named", per_frame * ours, "µs")
    yield Measurement("times less", library / ours, at_least=3)


def _reading_seconds(read: Callable[[socket.socket, int], None]) -> float:
    """Return the CPU that a thread takes to read a frame of each topic, 20 at a time."""
    topics = [topic for topic, pairs in BinanceStream("", NATIVE).topics(NATIVE).items() if pairs]
    frames = [kline(topic, NOW_MS, closed=False) for topic in topics]
    ours, theirs = socket.socketpair()

    def send() -> None:
        for first in range(0, len(frames), 20):
            theirs.sendall(b"".join(frames[first : first + 20]))

    with ours, theirs:
        sender = threading.Thread(target=send, daemon=True)
        begun = time.thread_time()
        sender.start()
        read(ours, len(frames))
        return time.thread_time() - begun


def _subscribing(bench: Bench) -> Iterator[Measurement]:
    """Subscribe to a sandbox that ends whoever is too fast, with binance.com's limits."""
    with bench.sandbox(SUBSCRIBED) as sandbox:
        _, symbols = bench.exchange(SUBSCRIBED, sandbox.url)
        names = {symbol: symbol.replace("-", "") for symbol in symbols}
        sink, wanted = StreamedPairs(), set(pairs_of(symbols))
        streamer = Streamer(BinanceStream(sandbox.url.replace("http", "ws"), names), sink)
        begun = time.monotonic()
        streamer.start(symbols)
        while sink.pairs != wanted and time.monotonic() < begun + SECONDS_TO_SUBSCRIBE:
            time.sleep(0.01)
        seconds = time.monotonic() - begun
        counters = streamer.counters()
        streamer.stop()
    note = f"{counters['streams']:,} streams on {counters['connections']} connections"
    what = f"subscribing {len(symbols):,} symbols x 6, until all is confirmed"
    yield Measurement(what, seconds, "s", 3, note)
    yield Measurement("its connections that were ended", counters["reconnects"], at_most=0)


def _usages(streaming: Live, seconds: float) -> Iterator[Usage]:
    ends_at = time.monotonic() + seconds
    while time.monotonic() < ends_at:
        yield streaming.usage()
        streaming.check()
        time.sleep(seconds / 30)
    yield streaming.usage()


def _delays(streaming: Live, *, targets: bool = True) -> Iterator[Measurement]:
    delays = streaming.delays_ms
    note = f"{len(delays):,} closes, from sending the frame to hearing it"
    yield Measurement("its closes published after, p50", statistics.median(delays), "ms", note=note)
    p99 = _p99(delays)
    yield Measurement("its closes published after, p99", p99, "ms", 10 if targets else None)
    p99 = _p99(streaming.events_delays_ms)
    what = "its closes read of the events stream after, p99"
    yield Measurement(what, p99, "ms", 10 if targets else None)


def _p99(delays_ms: list[float]) -> float:
    return delays_ms[int(0.99 * len(delays_ms))]


def _lost(sent: int, astray: int) -> Measurement:
    what = "its closes lost, doubled or out of order"
    return Measurement(what, astray, at_most=0, note=f"of {sent:,}")
