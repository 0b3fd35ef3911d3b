"""What a check is about, what its steps have found so far, and how they ask again."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from django.contrib.auth.models import AbstractBaseUser
from redis import Redis

from exchanges.adapters import rest_of, stream_of
from exchanges.daemon_threads import NoAnswer, within
from exchanges.errors import KeptWaiting, RateLimited, TurnedAway, Unreachable
from exchanges.models import Exchange
from exchanges.rest.base import VenueRest
from exchanges.rest.pacing.host import host_of
from exchanges.rest.pacing.usage import read_usage
from exchanges.stream.base import VenueStream
from exchanges.symbols.listed import ListedSymbol
from livermore.market.candle import Ticker

ANSWER_SECONDS = 30.0

Answer = TypeVar("Answer")


@dataclass(slots=True)
class Facts:
    """One check's subject and findings; used by one thread."""

    redis: Redis
    exchange: Exchange
    wanted: str | None  # the symbol that was asked for
    seconds: float
    user: AbstractBaseUser | None = None  # who may read its report, None: whoever runs it all
    market: ListedSymbol | None = None
    ticker: Ticker | None = None
    ahead_ms: float | None = None  # how far the exchange's clock is ahead of ours
    warmed: bool = False  # what was fetched is in the cache, and right
    _rest: VenueRest | None = None

    @property
    def symbol(self) -> str:
        """Return which symbol is tried."""
        assert self.market is not None  # else what needs it is not tried: see `Kind.needs`
        return self.market.symbol

    @property
    def rest(self) -> VenueRest:
        """Return the exchange's REST side, opened when first needed; raises BadCredentials."""
        return self._rest or self.open_rest()

    def open_rest(self) -> VenueRest:
        """Open the exchange's REST side anew."""
        self.close()
        self._rest = rest_of(self.exchange, self.redis, self._names())
        return self._rest

    def stream(self) -> VenueStream:
        """Return the exchange's streaming side."""
        market = self.market
        aliases = {market.symbol: market.alias} if market and market.alias else {}
        return stream_of(self.exchange, self._names(), aliases)

    def choose(self, market: ListedSymbol) -> None:
        """Go on with this symbol, under the name that it was found under."""
        self.close()
        self.market = market

    def ask(self, work: Callable[..., Answer], *arguments: Any) -> Answer:
        """Return what a REST call returns.

        RateLimited, TurnedAway, KeptWaiting or Unreachable when it takes too long.
        """
        try:
            return within(ANSWER_SECONDS, work, *arguments)
        except NoAnswer as error:
            was_sent = not (self._rest and self._rest.client.pacer.keeps_waiting)
            self.close()  # else its next tries would go on behind our back
            host = host_of(self.exchange.rest_url)
            usage = read_usage(self.redis, host)
            if usage.refused_ms:
                raise TurnedAway(host, ANSWER_SECONDS) from error
            if usage.held_ms:
                seconds = usage.held_ms / 1000
                raise RateLimited(
                    f"{host} asked for a pause (HTTP 429), of which {seconds:.0f} s are left",
                    seconds,
                ) from error
            if not was_sent:
                raise KeptWaiting(host, ANSWER_SECONDS) from error
            raise Unreachable(f"{host} gave no answer within {ANSWER_SECONDS:g} s") from error

    def is_banned(self) -> bool:
        """Tell whether the exchange bans this address: nothing is sent to it then."""
        return read_usage(self.redis, host_of(self.exchange.rest_url)).banned_ms > 0

    def close(self) -> None:
        """Close the connections."""
        if self._rest is not None:
            self._rest.close()
            self._rest = None

    def _names(self) -> dict[str, str]:
        return {self.market.symbol: self.market.native_symbol} if self.market else {}
