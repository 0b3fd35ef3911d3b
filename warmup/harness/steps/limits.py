"""What an exchange allows, as it publishes it, beside what the row lets us do."""

from exchanges.models import Exchange
from exchanges.presets import presets
from exchanges.rest.pacing.budget import SHARE_OF_LIMIT, CallLimit
from exchanges.venue import RequestWeight
from exchanges.venues import VENUES
from warmup.harness.facts import Facts
from warmup.harness.report import Failed, Outcome, Result


def check_limits(facts: Facts) -> Outcome:
    """Compare the row's pace with what the exchange publishes of its limits."""
    venue = VENUES.get(facts.exchange.venue)
    if venue and venue.weight:
        return _by_weight(facts, venue.weight)
    if venue and venue.calls:
        return _by_calls(facts.exchange, venue.calls)
    text = f"nothing is known of what {facts.exchange.venue} publishes"
    return Outcome(text, result=Result.SKIP)


def _by_weight(facts: Facts, weight: RequestWeight) -> Outcome:
    row, rest = facts.exchange, facts.rest
    native = facts.market.native_symbol if facts.market else None
    published = facts.ask(weight.ask, rest, native)
    limits = published or weight.until_known
    allowed = SHARE_OF_LIMIT * limits.weight_per_minute
    what = "published" if published else "nothing that makes sense is published; assumed"
    text = (
        f"{what}: {limits.weight_per_minute} weight in a minute, "
        f"{limits.requests_per_5_minutes} requests in five"
    )
    if row.pacing == Exchange.Pacing.WEIGHT:
        return Outcome(f"{text}; pacing weight stays below {allowed:.0f}{_unlike_preset(row)}")
    most = 60 * calls_per_second(row) * rest.candle_weight
    requests = 300 * calls_per_second(row)
    if most > allowed or requests > SHARE_OF_LIMIT * limits.requests_per_5_minutes:
        raise Failed(
            f"{text}; batches of {row.batch_size} each {row.batch_delay_ms} ms may use {most:.0f} "
            f"and {requests:.0f}",
            f"set pacing to weight in the row {row.name}, or longer delays between batches",
        )
    return Outcome(f"{text}; the row's batches use {most:.0f} at most{_unlike_preset(row)}")


def _by_calls(row: Exchange, limit: CallLimit) -> Outcome:
    most = calls_per_second(row)
    told = "published:" if limit.is_published else "none is published now; it used to be"
    calls = "a call" if limit.per_second == 1 else f"{limit.per_second:g} calls"
    text = f"{told} {calls} a second, and the row's batches make {most:.3g} at most"
    if most > limit.per_second:
        raise Failed(text, _slower(row, limit))
    return Outcome(f"{text}{_unlike_preset(row)}")


def calls_per_second(row: Exchange) -> float:
    """Return how many calls a second the row's batches may make; infinite without a delay."""
    return 1000 * row.batch_size / row.batch_delay_ms if row.batch_delay_ms else float("inf")


def _slower(row: Exchange, limit: CallLimit) -> str:
    return (
        f"in the row {row.name} set pacing to batch, {limit.batch_size} requests and "
        f"{limit.batch_delay_ms} ms between batches"
    )


def _unlike_preset(row: Exchange) -> str:
    preset = presets().get(row.name)
    if preset is None or preset.pacing == row.pacing:
        return ""
    return f" (its preset has pacing {preset.pacing})"
