"""What stands where on the dashboard: rows in the order in which they are looked at by night."""

from dataclasses import dataclass
from typing import NamedTuple

WIDE, HALF, THIRD, QUARTER, EIGHTH = 24, 12, 8, 6, 3  # of the grid's 24 columns
FIRING = 'ALERTS{alertstate="firing",service="livermore"'


class Query(NamedTuple):
    """PromQL, and what Grafana calls each of its lines."""

    expression: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """A panel. `queries` are metrics of the table, by their names alone, or queries beside it.

    `kind` is Grafana's: `timeseries`, `stat`, `state-timeline`, `table`; `look` one of
    `panels.LOOKS`; `unit` Grafana's too.
    """

    title: str
    queries: tuple[str | Query, ...]
    unit: str = "short"
    width: int = THIRD
    kind: str = "timeseries"
    look: str = ""


def _stat(title: str, expression: str, look: str, legend: str = "") -> Shown:
    return Shown(title, (Query(expression, legend),), width=EIGHTH, kind="stat", look=look)


def _firing(severity: str) -> str:
    return f'count({FIRING},severity="{severity}"}}) or vector(0)'


GLANCE = (
    _stat("Critical alerts", _firing("critical"), "none is good"),
    _stat("Warnings", _firing("warning"), "none is better"),
    _stat("Database", "min(livermore_database_up)", "is up"),
    _stat("Redis", "min(livermore_redis_up)", "is up"),
    _stat("Agents alive", "max(livermore_agents_alive)", "some are good"),
    _stat(
        "Exchanges down",
        "count(livermore_exchange_wanted == 1 and livermore_exchange_up == 0) or vector(0)",
        "none is good",
    ),
    _stat("Pairs holed or stale", "sum(livermore_pairs_holed + livermore_pairs_stale)",
          "none is good"),
    _stat("Version", "livermore_build_info", "a name", "{{version}}"),
    Shown(
        "Exchanges",
        (
            Query(
                'livermore_exchange_wanted{exchange=~"$exchange"}'
                ' + 2 * livermore_exchange_up{exchange=~"$exchange"}',
                "{{exchange}}",
            ),
        ),
        width=WIDE, kind="state-timeline", look="wanted and up",
    ),
)  # fmt: skip
ALERTS = (
    Shown("Firing now", (Query(f"{FIRING}}}"),), width=HALF, kind="table", look="alerts"),
    Shown(
        "When each alert fired",
        (Query(f"{FIRING}}}", "{{alertname}} {{exchange}}"),),
        width=HALF, kind="state-timeline", look="fired",
    ),
)  # fmt: skip
FRESHNESS = (
    Shown("Coverage of the windows", ("livermore_coverage_ratio",), "percentunit"),
    Shown("Pairs with holes", ("livermore_pairs_holed",)),
    Shown("Pairs that are stale", ("livermore_pairs_stale",)),
    Shown("Age of the newest close", ("livermore_newest_close_age_seconds",), "s"),
    Shown("Candles that are missing", ("livermore_periods_missing",)),
    Shown("Pairs that wait for the exchange", ("livermore_pairs_waiting",)),
    Shown("Pairs that are kept warm", ("livermore_pairs",), width=QUARTER),
    Shown("Symbols by what became of them", ("livermore_symbols",), width=QUARTER),
    Shown("Symbols without their history", ("livermore_symbols_unfetched",), width=QUARTER),
    Shown("Pairs set aside", ("livermore_pairs_set_aside",), width=QUARTER),
)
STREAMS = (
    Shown("Frames a second", ("livermore_frames_per_second",)),
    Shown("Connections", ("livermore_connections", "livermore_connections_silent")),
    Shown("Connections that broke, in 15 min", (Query(
        'increase(livermore_reconnects_total{exchange=~"$exchange"}[15m])', "{{exchange}}"),)),
    Shown("From a bar's end to Redis", ("livermore_close_delay_seconds",), "s"),
    Shown("Closes a second", (
        "livermore_closes_total", "livermore_closes_healed_total", "livermore_closes_late_total")),
    Shown("Pairs that heal, or are polled", ("livermore_pairs_healing", "livermore_pairs_polled")),
    Shown("Frames a second, by counter", ("livermore_frames_total",)),
    Shown("Frames refused or lost, a second", (
        "livermore_frames_refused_total", "livermore_frames_lost_total")),
    Shown("Closes that wait to be written", ("livermore_closes_pending",)),
)  # fmt: skip
REST = (
    Shown("Request weight of the last minute", (
        "livermore_request_weight_used", "livermore_request_weight_limit"), width=HALF),
    Shown("Asked to be left alone for", ("livermore_host_held_seconds",), "s", QUARTER),
    Shown("Banned for", ("livermore_host_banned_seconds",), "s", QUARTER),
)  # fmt: skip
WARMUPS = (
    Shown("How far the last warmup is", ("livermore_warmup_percent",), "percent"),
    Shown("Pairs that it could not fetch", ("livermore_warmup_pairs_failed",)),
    Shown("Ended by an error", ("livermore_warmup_error",)),
)
AGENTS = (
    Shown("State of each exchange", (Query(
        'livermore_exchange_state{exchange=~"$exchange"} == 1', "{{exchange}} {{state}}"),),
        width=HALF, kind="state-timeline", look="a state"),
    Shown("Holders: who has it changes with the epoch", (Query(
        'changes(livermore_lock_epoch{exchange=~"$exchange"}[15m])', "{{exchange}}"),),
        width=QUARTER),
    Shown("Locks that are held", ("livermore_lock_held",), width=QUARTER),
    Shown("Agents alive", ("livermore_agents_alive",), width=QUARTER),
    Shown("Wanted, and up", (
        "livermore_exchange_wanted", "livermore_exchange_up"), width=QUARTER),
    Shown("Age of the last sign of life", ("livermore_heartbeat_age_seconds",), "s", QUARTER),
    Shown("Cores that each process uses",
          ("livermore_agent_process_cpu_seconds_total",), width=QUARTER),
    Shown("Memory of each process", ("livermore_agent_process_memory_bytes",), "bytes", HALF),
    Shown("Threads of each process", ("livermore_agent_process_threads",), width=HALF),
)  # fmt: skip
REDIS = (
    Shown("Answers, takes writes, evicts", (
        "livermore_redis_up", "livermore_redis_writable", "livermore_redis_evicts")),
    Shown("Memory", (
        "livermore_redis_memory_used_bytes", "livermore_redis_memory_limit_bytes"), "bytes"),
    Shown("Writes that failed and were tried again, in 5 min", (Query(
        'increase(livermore_flush_failures_total{exchange=~"$exchange"}[5m])', "{{exchange}}"),)),
)  # fmt: skip
SERVE = (
    Shown("Requests a second, by status", (Query(
        'sum by (status) (rate(livermore_serving_requests_total{exchange=~"$exchange|"}'
        '[$__rate_interval]))', "{{status}}"),)),
    Shown("Where answers' candles were", (Query(
        'sum by (outcome) (rate(livermore_serving_candle_answers_total{exchange=~"$exchange|"}'
        '[$__rate_interval]))', "{{outcome}}"),)),
    Shown("Time to an answer, 99 % of each route", ("livermore_serving_answer_seconds",), "s"),
    Shown("Open sockets", (Query(
        'sum by (client, exchange) (livermore_serving_sockets{exchange=~"$exchange"})',
        "{{client}} {{exchange}}"),), width=QUARTER),
    Shown("Readers dropped, in 15 min", (Query(
        'increase(livermore_serving_readers_dropped_total[15m])', "{{exchange}} {{reason}}"),),
        width=QUARTER),
    Shown("Requests not let in, a second", ("livermore_serving_refused_total",), width=QUARTER),
    Shown("Processes, and their Redis", (
        "livermore_serving_processes", "livermore_serving_redis_up"), width=QUARTER),
)  # fmt: skip
HISTORY = (
    Shown("Age of the newest candle", ("livermore_history_age_seconds",), "s"),
    Shown("Pairs behind, or with holes", (
        "livermore_history_pairs_behind", "livermore_history_pairs_holed")),
    Shown("Pairs whose history is kept", ("livermore_history_pairs",)),
    Shown("Candles in files", ("livermore_history_candles",)),
    Shown("Bytes of files", ("livermore_history_bytes",), "bytes"),
    Shown("Time since the last audit", ("livermore_audit_age_seconds",), "s"),
    Shown("Candles that the last audit compared, or could not", (
        "livermore_audit_compared", "livermore_audit_unknown"), width=HALF),
    Shown("Candles that differ, or are far from another exchange's", (
        "livermore_audit_differing", "livermore_audit_second_beyond"), width=HALF),
)  # fmt: skip
ROWS: dict[str, tuple[Shown, ...]] = {
    "At a glance": GLANCE,
    "Alerts": ALERTS,
    "Freshness and holes": FRESHNESS,
    "Streams": STREAMS,
    "REST: weight and bans": REST,
    "Warmups": WARMUPS,
    "Agents and locks": AGENTS,
    "Redis": REDIS,
    "Serve": SERVE,
    "History and audits": HISTORY,
}
REST_OF_ALL = "Others"  # what no row has a place for
