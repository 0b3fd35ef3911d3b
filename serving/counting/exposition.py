"""Every metric of the processes that serve, by name and meaning, and how they are counted."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from warmup.metrics.exposition import COUNTER, GAUGE, HISTOGRAM, Kind
from warmup.network.readers import Report

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SUM, LAST = "sum", "+Inf"
BY_CLIENT = ("client", "exchange")
# Each begins with livermore_serving_; docs/metrics.md says more of every one.
METRICS = {
    "redis_up": Kind(GAUGE, "1 if Redis answered this scrape", ()),
    "processes": Kind(GAUGE, "Processes that serve at this address", ()),
    "requests_total": Kind(COUNTER, "Requests that were answered", ("exchange", "route", "status")),
    "candle_answers_total": Kind(
        COUNTER, "Answers with candles, by where these were", ("exchange", "outcome")
    ),
    "answer_seconds": Kind(HISTOGRAM, "From a request to its answer", ("route",)),
    "sockets": Kind(GAUGE, "Connections that are open and streamed to", BY_CLIENT),
    "readers_dropped_total": Kind(
        COUNTER, "Connections that were ended as nobody read them", ("exchange", "reason")
    ),
    "refused_total": Kind(COUNTER, "Requests that were not let in", ("client", "reason")),
}

Field = tuple[str, ...]  # a metric, its labels, and of a histogram a bucket's bound or SUM


class Counts:
    """What was counted since it was taken last. Used in the event loop alone."""

    def __init__(self) -> None:
        self._counts: dict[Field, float] = {}

    def add(self, name: str, *labels: str, amount: float = 1.0) -> None:
        field = (name, *labels)
        self._counts[field] = self._counts.get(field, 0.0) + amount

    def observe(self, name: str, *labels: str, seconds: float) -> None:
        """Count a value of a histogram."""
        at = bisect_left(BOUNDS, seconds)
        self.add(name, *labels, f"{BOUNDS[at]:g}" if at < len(BOUNDS) else LAST)
        self.add(name, *labels, SUM, amount=seconds)

    def take(self) -> dict[Field, float]:
        """Return all of it, which is counted no more."""
        taken, self._counts = self._counts, {}
        return taken

    def put_back(self, taken: Mapping[Field, float]) -> None:
        for field, amount in taken.items():
            self.add(*field, amount=amount)


def in_text(field: Field) -> bytes:
    """Return how a field is written in Redis."""
    return orjson.dumps(field)


class ServingCollector(Collector):
    """Makes metrics of what all processes have counted together, by fields as Redis has them.

    `stored` None says that Redis does not answer. What is no number of ours is passed over.
    """

    def __init__(self, stored: Mapping[bytes, bytes] | None, reports: Iterable[Report]):
        self._stored = stored
        self._reports = list(reports)

    def collect(self) -> Iterable[Metric]:
        families: dict[str, Any] = {  # of prometheus-client, whose base class lacks methods
            name: kind.family(f"livermore_serving_{name}", kind.help, labels=kind.labels)
            for name, kind in METRICS.items()
        }
        families["redis_up"].add_metric((), float(self._stored is not None))
        families["processes"].add_metric((), float(len(self._reports)))
        for which, count in self._sockets().items():
            families["sockets"].add_metric(which, float(count))
        buckets: dict[Field, dict[str, float]] = {}
        for name, labels, value in self._counted():
            if METRICS[name].family is HISTOGRAM:
                buckets.setdefault((name, *labels[:-1]), {})[labels[-1]] = value
            else:
                families[name].add_metric(labels, value)
        for (name, *rest), found in buckets.items():
            families[name].add_metric(rest, _cumulated(found), sum_value=found.get(SUM, 0.0))
        return families.values()

    def _sockets(self) -> dict[tuple[str, str], int]:
        found: dict[tuple[str, str], int] = {}
        for each in (reader for report in self._reports for reader in report.readers):
            which = each.client, each.exchange
            found[which] = found.get(which, 0) + each.sockets
        return found

    def _counted(self) -> Iterable[tuple[str, list[str], float]]:
        for text, value in sorted((self._stored or {}).items()):
            try:
                name, *labels = orjson.loads(text)
                count = len(METRICS[name].labels) + (METRICS[name].family is HISTOGRAM)
                if len(labels) == count and all(isinstance(each, str) for each in labels):
                    yield name, labels, float(value)
            except (ValueError, LookupError, TypeError):
                continue


def _cumulated(found: Mapping[str, float]) -> list[tuple[str, float]]:
    """Return a histogram's buckets as Prometheus has them: each with those below it."""
    total, buckets = 0.0, []
    for bound in [*(f"{each:g}" for each in BOUNDS), LAST]:
        total += found.get(bound, 0.0)
        buckets.append((bound, total))
    return buckets
