"""Reading from `serve`, as docs/api.md says."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from livermore_reader.asking import names_of
from livermore_reader.candles import Asked, Candles
from livermore_reader.errors import BadRequest, Unavailable
from livermore_reader.sources.event_messages import Wanted
from livermore_reader.sources.http.client import HttpAddress, HttpClient
from livermore_reader.sources.http.events import HttpEvents
from livermore_reader.sources.http.pages import Page, candles_of, next_question
from livermore_reader.sources.source import Exchange, Status

MOST_AT_ONCE = 8
Found = TypeVar("Found")


class HttpSource:
    """All candles of one `serve`. Any thread may ask."""

    def __init__(self, url: str, token: "str | None" = None):
        """Raises BadRequest."""
        self._client = HttpClient(HttpAddress.parse(url, token))

    def exchanges(self) -> Sequence[Exchange]:
        def read(told: Any) -> list[Exchange]:
            return [
                Exchange(each["id"], each["name"], each["displayName"], each["venue"])
                for each in told["exchanges"]
            ]

        return self._read(read, "exchanges")

    def symbols(self, exchange: str) -> Sequence[str]:
        return self._kept(exchange)[0]

    def names(self, exchange: str) -> Mapping[str, str]:
        return names_of(*self._kept(exchange))

    def candles(self, asked: Sequence[Asked]) -> Sequence[Candles]:
        if len(asked) < 2:
            return [self._candles(each) for each in asked]
        with ThreadPoolExecutor(min(len(asked), MOST_AT_ONCE)) as pool:
            return list(pool.map(self._candles, asked))

    def macd_v(
        self, exchange: str, symbols: Sequence[str], timeframes: Sequence[str]
    ) -> Sequence[dict[str, Any]]:
        def read(told: Any) -> list[dict[str, Any]]:
            return [
                {
                    "symbol": each["symbol"],
                    "timeframe": each["timeframe"],
                    **(each["macdV"] or {}),
                    "current": each["current"],
                }
                for each in told["values"]
            ]

        return self._read(
            read,
            "macd-v",
            exchange=exchange,
            symbols=",".join(symbols) or None,
            timeframes=",".join(timeframes) or None,
        )

    def status(self, exchange: str) -> Status:
        def read(told: Any) -> Status:
            return Status(
                told.pop("exchange"),
                told.pop("streamed"),
                told.pop("time"),
                told["state"],
                told["phase"],
                told["newestClose"],
                {} if told["state"] == "offline" else told,
            )

        return self._read(read, "status", exchange=exchange)

    def ticker(self, exchange: str, symbol: str) -> "dict[str, Any] | None":
        return self._read(
            lambda told: next(iter(told["tickers"]), None),
            "tickers",
            exchange=exchange,
            symbols=symbol,
        )

    def events(
        self, exchange: str, after: str, symbols: Sequence[str], timeframes: Sequence[str]
    ) -> HttpEvents:
        return HttpEvents(self._client, exchange, after, Wanted.of(symbols, timeframes))

    def close(self) -> None:
        self._client.close()

    def _kept(self, exchange: str) -> tuple[Sequence[str], Sequence[str]]:
        """Return the symbols whose candles are kept, and of which kinds all are that it lists."""

        def read(told: Any) -> dict[str, tuple[Sequence[str], Sequence[str]]]:
            return {
                each["name"]: (sorted(each["monitored"]), each.get("kinds", ()))
                for each in told["exchanges"]
            }

        kept = self._read(read, "exchanges")
        if exchange not in kept:
            known = ", ".join(sorted(kept)) or "none"
            raise BadRequest(f"there is no exchange {exchange[:50]!r}; known: {known}")
        return kept[exchange]

    def _candles(self, asked: Asked) -> Candles:
        pages: list[Page] = []
        while question := self._within(lambda: next_question(asked, pages)):
            pages.append(self._client.get("candles", **question))
        return self._within(lambda: candles_of(asked, pages))

    def _read(self, read: Callable[[Any], Found], path: str, **params: Any) -> Found:
        told = self._client.get(path, **params)
        return self._within(lambda: read(told))

    def _within(self, read: Callable[[], Found]) -> Found:
        """Return what an answer says. Raises Unavailable where that is not as serve says it."""
        try:
            return read()
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise Unavailable(
                f"{self._client.address} answers not as this version of the reader expects it: "
                f"{type(error).__name__} {str(error)[:100]}"
            ) from None
