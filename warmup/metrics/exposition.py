"""Every metric by name and meaning, and the values of one scrape."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)


class Kind(NamedTuple):
    """A metric: how it is made, what it means, and its labels beside the exchange."""

    family: Callable[..., Metric]
    help: str
    labels: tuple[str, ...] = ("exchange",)


GAUGE, COUNTER, HISTOGRAM = GaugeMetricFamily, CounterMetricFamily, HistogramMetricFamily
BY_NODE = ("node",)  # of a Cluster alone
BY_TIMEFRAME = ("exchange", "timeframe")
BY_PROCESS = ("host", "exchanges")
# Each begins with livermore_; docs/metrics.md says more of every one.
METRICS = {
    "build_info": Kind(GAUGE, "Always 1: which version the web server is", ("version",)),
    "database_up": Kind(GAUGE, "1 if the database answered this scrape", ()),
    "redis_up": Kind(GAUGE, "1 if Redis answered this scrape", ()),
    "redis_writable": Kind(GAUGE, "1 if Redis takes what is written", ()),
    "redis_evicts": Kind(GAUGE, "1 if Redis drops keys when it is full", BY_NODE),
    "redis_memory_used_bytes": Kind(GAUGE, "Memory that Redis uses", BY_NODE),
    "redis_memory_limit_bytes": Kind(GAUGE, "Redis's maxmemory, where it has one", BY_NODE),
    "agents_alive": Kind(GAUGE, "Agents that have given a sign of life lately", ()),
    "agent_process_cpu_seconds_total": Kind(COUNTER, "Seconds of a core it has used", BY_PROCESS),
    "agent_process_memory_bytes": Kind(GAUGE, "Its share of memory", BY_PROCESS),
    "agent_process_threads": Kind(GAUGE, "Threads it has", BY_PROCESS),
    "exchange_wanted": Kind(GAUGE, "1 if the exchange is wanted to run"),
    "exchange_up": Kind(GAUGE, "1 if a runner has it and has given a sign of life lately"),
    "exchange_state": Kind(GAUGE, "1 for the state it is in", ("exchange", "state")),
    "heartbeat_age_seconds": Kind(GAUGE, "Time since the runner wrote its status, by Redis"),
    "lock_held": Kind(GAUGE, "1 if somebody may write the exchange's data"),
    "lock_epoch": Kind(GAUGE, "Last fencing epoch given out: it changes with each holder"),
    "frames_total": Kind(COUNTER, "Frames that came from the exchange"),
    "frames_per_second": Kind(GAUGE, "Frames a second, over the last ten"),
    "frames_refused_total": Kind(COUNTER, "Frames not taken, by reason", ("exchange", "reason")),
    "frames_lost_total": Kind(COUNTER, "Frames that the exchange numbered and that never came"),
    "connections": Kind(GAUGE, "WebSockets that are open and confirmed"),
    "connections_silent": Kind(GAUGE, "WebSockets on which something is due and does not come"),
    "reconnects_total": Kind(COUNTER, "WebSockets that broke off"),
    "closes_total": Kind(COUNTER, "Closed candles written and told"),
    "closes_healed_total": Kind(COUNTER, "Those of them that came over REST"),
    "closes_late_total": Kind(COUNTER, "Those of them that were told after later ones"),
    "closes_pending": Kind(GAUGE, "Closed candles that wait to be written"),
    "close_delay_seconds": Kind(HISTOGRAM, "From a bar's end to Redis, where the stream told it"),
    "newest_close_age_seconds": Kind(GAUGE, "Time since the newest close, by the exchange"),
    "pairs_healing": Kind(GAUGE, "Pairs that lack a candle that should have closed"),
    "pairs_polled": Kind(GAUGE, "Pairs that the exchange refuses to stream"),
    "flush_failures_total": Kind(COUNTER, "Writes to Redis that failed and were tried again"),
    "symbols": Kind(GAUGE, "Monitored symbols by what became of them", ("exchange", "status")),
    "symbols_unfetched": Kind(GAUGE, "Symbols that are streamed and lack their history yet"),
    "pairs": Kind(GAUGE, "Pairs to keep warm", BY_TIMEFRAME),
    "pairs_holed": Kind(GAUGE, "Pairs that lack more than their newest candles", BY_TIMEFRAME),
    "pairs_stale": Kind(GAUGE, "Pairs that lack their newest candles alone", BY_TIMEFRAME),
    "pairs_waiting": Kind(GAUGE, "Pairs that lack what the exchange has to tell", BY_TIMEFRAME),
    "pairs_set_aside": Kind(GAUGE, "Pairs with a key in Redis that is not ours", BY_TIMEFRAME),
    "periods_missing": Kind(GAUGE, "Candles' times that are not covered", BY_TIMEFRAME),
    "coverage_ratio": Kind(GAUGE, "Share of the windows' time that is covered", BY_TIMEFRAME),
    "request_weight_used": Kind(GAUGE, "Request weight of the last minute, all processes"),
    "request_weight_limit": Kind(GAUGE, "Request weight that the exchange allows in a minute"),
    "host_held_seconds": Kind(GAUGE, "For how long the exchange asked to be left alone"),
    "host_banned_seconds": Kind(GAUGE, "For how long the exchange banned this address"),
    "audit_age_seconds": Kind(GAUGE, "Time since the last audit that ended"),
    "audit_compared": Kind(GAUGE, "Candles that it compared"),
    "audit_differing": Kind(GAUGE, "Candles that are kept otherwise than the exchange tells"),
    "audit_unknown": Kind(GAUGE, "Candles that it could not compare"),
    "audit_second_beyond": Kind(GAUGE, "Candles far off the prices of another exchange"),
    "warmup_percent": Kind(GAUGE, "How far the last warmup is or came"),
    "warmup_pairs_failed": Kind(GAUGE, "Pairs that the last warmup could not fetch"),
    "warmup_error": Kind(GAUGE, "1 if the last warmup was ended by an error"),
}


class Scrape:
    """One scrape's values: a family for every metric, those without a value among them."""

    def __init__(self):
        self.families: dict[str, Any] = {  # of prometheus-client, whose base class lacks methods
            name: kind.family(f"livermore_{name}", kind.help, labels=kind.labels)
            for name, kind in METRICS.items()
        }

    def put(self, name: str, value: Any, *labels: str) -> None:
        """Give a metric a value; None gives it none."""
        if value is not None:
            self.families[name].add_metric(labels, float(value))

    def put_delays(self, found: Mapping[str, Any], *labels: str) -> None:
        """Give the histogram the counts of `warmup.live.measures.Delays`."""
        bounds = [*(f"{each / 1000:g}" for each in found["boundsMs"]), "+Inf"]
        total, buckets = 0, []
        for bound, count in zip(bounds, found["counts"], strict=True):
            total += count
            buckets.append((bound, total))
        family = self.families["close_delay_seconds"]
        family.add_metric(labels, buckets, sum_value=found["sumMs"] / 1000)
