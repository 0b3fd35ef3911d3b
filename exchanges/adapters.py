"""What speaks to an exchange, made from its row and by its venue."""

from collections.abc import Callable, Mapping
from copy import copy
from typing import TYPE_CHECKING

from django_redis import get_redis_connection
from redis import Redis

from exchanges.credentials import key_in_use
from exchanges.errors import Misconfigured
from exchanges.models import Exchange
from exchanges.presets import answer_limits
from exchanges.rest.base import VenueRest
from exchanges.rest.pacing.batch import BatchPacer
from exchanges.rest.pacing.host import host_of
from exchanges.rest.pacing.memory import memory_of
from exchanges.rest.pacing.pacer import Pacer
from exchanges.rest.pacing.weight import WeightPacer
from exchanges.stream.base import VenueStream
from exchanges.transport.dialing import Route, hosts_in
from exchanges.venue import RequestWeight, Venue
from exchanges.venues import VENUES
from livermore.market import keys

if TYPE_CHECKING:
    from exchanges.rest.download import Downloads


class ExchangeAdapterFactory:
    """Makes what speaks to an exchange from its row; URLs and pace come from the row alone."""

    def __init__(self, redis: Redis):
        self._redis = redis

    def stream(self, exchange: Exchange) -> VenueStream:
        """Return the exchange's streaming side."""
        aliases = exchange.symbols.exclude(alias="").values_list("symbol", "alias")
        return stream_of(exchange, _native_symbols(exchange), dict(aliases))

    def rest(self, exchange: Exchange) -> VenueRest:
        """Return the exchange's REST side; `close()` it when done."""
        return rest_of(exchange, self._redis, _native_symbols(exchange))


def open_rest(exchange: Exchange) -> VenueRest:
    """Return the exchange's REST side on the configured Redis; `close()` it when done."""
    return ExchangeAdapterFactory(get_redis_connection("default")).rest(exchange)


def venue_of(exchange: Exchange) -> Venue:
    """Return the exchange's venue. Raises Misconfigured where there is none of that name."""
    try:
        return VENUES[exchange.venue]
    except KeyError:
        raise Misconfigured(
            f"{exchange.name} speaks {exchange.venue}, which is no venue",
            f"choose one of {', '.join(VENUES)} in its row, or delete it",
        ) from None


def beside_api(exchange: Exchange) -> Exchange:
    """Return a row for calls of paths that lie beside the exchange's API, at the same host.

    It is not to be saved. Raises Misconfigured where the address does not tell where the API is.
    """
    api_path = venue_of(exchange).api_path
    address = exchange.rest_url.rstrip("/")
    if not address.endswith(api_path):
        raise Misconfigured(
            f"the REST address of {exchange.name} does not end with {api_path}",
            "correct it in its row: what lies beside that at its host can't be asked for",
        )
    beside = copy(exchange)
    beside.rest_url = address.removesuffix(api_path)
    return beside


def route_to(exchange: Exchange) -> Route:
    """Return the way to the exchange's hosts."""
    urls = (exchange.rest_url, exchange.ws_url, exchange.archive_url)
    return Route(exchange.proxy, hosts_in(*urls))


def stream_of(
    exchange: Exchange, names: Mapping[str, str], aliases: Mapping[str, str]
) -> VenueStream:
    """Return the exchange's streaming side, which knows these canonical and native names."""
    stream = venue_of(exchange).stream
    return stream(exchange.ws_url, names, aliases, route_to(exchange))


def rest_of(exchange: Exchange, redis: Redis, names: Mapping[str, str]) -> VenueRest:
    """Return the exchange's REST side, which knows these names; `close()` it when done."""
    # It brings requests and urllib3, which no command is to load that calls nobody.
    from exchanges.rest.client import Replies, RestClient

    venue = venue_of(exchange)
    pacer = _pacer(exchange, redis, venue.weight)
    key = key_in_use(exchange) if venue.load_key else None
    replies = Replies(
        venue.read_error,
        _note_weight(pacer, venue.weight),
        venue.is_own_error,
        venue.elsewhere(host_of(exchange.rest_url)),
        venue.errors_in_200,
        venue.read_ban,
    )
    client = RestClient(
        exchange.rest_url,
        pacer,
        workers=pacer.batch_size or (venue.weight.workers if venue.weight else 1),
        replies=replies,
        sign=key.sign if key else None,
        route=route_to(exchange),
        limits=answer_limits(exchange.name, venue.name),
    )
    return venue.rest(exchange.pk, client, names, key)


def downloads_of(exchange: Exchange) -> "Downloads | None":
    """Return what gets an exchange's bulk files, None where it has none; `close()` it when done."""
    from exchanges.rest.download import Downloads

    if not exchange.archive_url or venue_of(exchange).archive is None:
        return None
    return Downloads(exchange.archive_url, route_to(exchange))


def _native_symbols(exchange: Exchange) -> dict[str, str]:
    return dict(exchange.symbols.values_list("symbol", "native_symbol"))


def _pacer(exchange: Exchange, redis: Redis, weight: RequestWeight | None) -> Pacer:
    host = host_of(exchange.rest_url)
    memory = memory_of(keys.pacing(host))
    if weight and exchange.pacing == Exchange.Pacing.WEIGHT:
        return WeightPacer(redis, host, weight.until_known, memory)
    return BatchPacer(redis, host, exchange.batch_size, exchange.batch_delay_ms, memory)


def _note_weight(
    pacer: Pacer, weight: RequestWeight | None
) -> Callable[[Mapping[str, str]], object]:
    """Return what tells the pacer of the weight that an answer's headers say was used."""

    def note(headers: Mapping[str, str]) -> None:
        if weight and (used := weight.used(headers)) is not None:
            pacer.observe_weight(used)

    return note
