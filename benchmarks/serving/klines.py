"""How many answers with klines a second, and how soon; beside other ways to have them."""

import statistics
import urllib.request
from collections.abc import Callable, Iterator, Sequence

import orjson

from benchmarks.fixtures.bench import Bench
from benchmarks.measurement import Measurement
from benchmarks.programs.helper import Helper
from benchmarks.serving.cores import Cores
from benchmarks.serving.exchange import ServedExchange, klines_path
from benchmarks.serving.load import Found, flat, lines, paced
from benchmarks.serving.servers import Running, plain_view, serve
from livermore.market.timeframe import Timeframe

SYMBOLS, ASKED = 1000, 40
TIMEFRAMES = (Timeframe.M15, Timeframe.H1, Timeframe.H4)
ROWS, MOST_ROWS = 500, 1000
CONNECTIONS, MANY = 16, 64  # as fast as it goes; at a pace
SECONDS, SECONDS_AT_PACE = 4.0, 10.0
RUNS = 3
PER_SECOND = 500
AT_LEAST, AT_LEAST_OF_MOST = 2500, 1500
P50_MS, P99_MS = 1, 5
DIRECT_SYMBOLS = 20
DIRECT_PER_SECOND = 20.0
ANY_WEIGHT = 10**9
CALLS_A_MINUTE = 3000  # of klines that Binance lets an address make: 6,000 of weight, 2 each


def measure(bench: Bench, cores: Cores) -> Iterator[Measurement]:
    exchange = ServedExchange.of(bench, SYMBOLS)
    exchange.fill(TIMEFRAMES)
    paths = {rows: list(_paths(exchange, rows)) for rows in (ROWS, MOST_ROWS)}
    with exchange.streamed():
        with serve(cores) as server:
            bodies = [_checked(server, path, rows) for rows in paths for path in paths[rows]]
            yield from _fast(server, paths[ROWS], ROWS, AT_LEAST)
            yield from _at_pace(server, paths[ROWS])
            yield from _fast(server, paths[MOST_ROWS], MOST_ROWS, AT_LEAST_OF_MOST)
        yield from _client_alone(cores, bodies[0])
        with plain_view(cores) as view:
            yield from _plain(view, paths[ROWS])
    bench.redis.flushdb()
    yield from _directly(bench)


def _paths(exchange: ServedExchange, rows: int) -> Iterator[str]:
    for word in exchange.words[:ASKED]:
        for timeframe in TIMEFRAMES:
            yield exchange.klines(word, timeframe, rows)


def _checked(server: Running, path: str, rows: int) -> bytes:
    """Return an answer, which is kept from then on. Raises AssertionError for another one."""
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=10) as answer:
        body = answer.read()
    found = orjson.loads(body)
    assert len(found) == rows, f"{path}: {len(found)} rows"
    return body


def _best(run: Callable[[], Found]) -> Found:
    """Return the run of median speed."""
    runs = sorted((run() for _ in range(RUNS)), key=lambda each: each.per_second)
    return runs[len(runs) // 2]


def _fast(server: Running, paths: Sequence[str], rows: int, at_least: int) -> Iterator[Measurement]:
    used = server.cpu_seconds()
    found = _best(lambda: flat(server.port, paths, CONNECTIONS, SECONDS))
    share = 100 * (server.cpu_seconds() - used) / (RUNS * SECONDS)
    what = f"klines of {rows} rows, {len(paths)} pairs, {CONNECTIONS} connections"
    note = f"{found.octets / 1000:.0f} kB each, {share:.0f} % of a core; "
    note += f"the client's share of another: {100 * found.own_share:.0f} %"
    yield Measurement(what, found.per_second, "/s", at_least=at_least, note=note)


def _at_pace(server: Running, paths: Sequence[str]) -> Iterator[Measurement]:
    runs = [paced(server.port, paths, MANY, SECONDS_AT_PACE, PER_SECOND) for _ in range(RUNS)]
    what = f"klines of {ROWS} rows, {PER_SECOND} a second asked, each when it is due"
    note = f"the median of {RUNS} runs, {', '.join(f'{each.p50:.2f}' for each in runs)}"
    yield Measurement(f"{what}: p50", _median(runs, "p50"), "ms", P50_MS, note)
    note = f"{', '.join(f'{each.p99:.2f}' for each in runs)}; "
    note += f"the slowest {max(each.slowest for each in runs):.1f} ms"
    yield Measurement("the same: p99", _median(runs, "p99"), "ms", P99_MS, note)


def _client_alone(cores: Cores, body: bytes) -> Iterator[Measurement]:
    """Measure what the client, and the system between, cost where nobody has any work."""
    with lines([body.decode()]) as file, cores.one():
        same = Helper("benchmarks.programs.same_answer", file)
    with same:
        found = _best(lambda: flat(int(same.word), ["/"], CONNECTIONS, SECONDS))
        at_pace = paced(int(same.word), ["/"], MANY, SECONDS_AT_PACE / 2, PER_SECOND)
    what = "the same bytes, from who does nothing else"
    note = f"{found.own_micros:.0f} µs of the client each"
    yield Measurement(what, found.per_second, "/s", note=note)
    note = f"p99 {at_pace.p99:.2f} ms"
    yield Measurement(f"the same at {PER_SECOND} a second: p50", at_pace.p50, "ms", note=note)


def _plain(view: Running, paths: Sequence[str]) -> Iterator[Measurement]:
    found = flat(view.port, paths, CONNECTIONS, SECONDS)
    what = f"a plain Django view of the same cache, {ROWS} closed rows"
    yield Measurement(what, found.per_second, "/s", note=f"p50 {found.p50:.0f} ms")


def _directly(bench: Bench) -> Iterator[Measurement]:
    """Ask the exchange itself, which takes 40 ms and would soon refuse."""
    with bench.sandbox(DIRECT_SYMBOLS, weight_limit=ANY_WEIGHT) as sandbox:
        _, symbols = bench.exchange(DIRECT_SYMBOLS, sandbox.url)
        paths = [
            klines_path(symbol.replace("-", ""), each, ROWS)
            for symbol in symbols
            for each in TIMEFRAMES
        ]
        port = int(sandbox.url.rpartition(":")[2])
        flat(port, paths, 4, SECONDS / 2)  # the first call of each pair costs it the most
        found = paced(port, paths, MANY, SECONDS, DIRECT_PER_SECOND)
    note = f"p99 {found.p99:.0f} ms; an address may ask {CALLS_A_MINUTE / 60:.0f} times a second"
    yield Measurement(f"the exchange asked itself, {ROWS} rows: p50", found.p50, "ms", note=note)


def _median(runs: Sequence[Found], name: str) -> float:
    return statistics.median(getattr(each, name) for each in runs)
