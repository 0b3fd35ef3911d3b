"""What is said at addresses where nothing else is: where candles are, in a line."""

from aiohttp import web

from serving.addresses.exchanges import OF_COINBASE, KnownExchanges
from serving.coinbase.rest import SPEAKS
from serving.directory import ServedExchange

OURS = "Livermore's own interface is below /v1/, as /v1/openapi.json describes it"
NO_EXCHANGES = "There is no exchange yet: add one in the admin"


class Signposts:
    """Answers at the root, and where the protocols of an exchange begin."""

    def __init__(self, known: KnownExchanges):
        self._known = known

    def add_to(self, router: web.UrlDispatcher, start: str) -> None:
        """Add its addresses, each behind `start`."""
        router.add_get(f"{start}/", self._root)
        for end in ("", "/"):
            router.add_get(f"{start}/{{exchange}}/api/v3{end}", self._base)

    async def _root(self, request: web.Request) -> web.Response:
        found = [base for each in await self._known.read("") for base in _bases(each)]
        there = f"Candles are below {', '.join(found)}" if found else NO_EXCHANGES
        return web.Response(text=f"{there}; {OURS}\n")

    async def _base(self, request: web.Request) -> web.Response:
        exchange = await self._known.find(request.match_info["exchange"])
        base, *others = _bases(exchange)
        word = next((each.word for each in exchange.symbols.values()), "BTCUSDT")
        its_own = f"; Coinbase's protocol is below {others[0]}" if others else ""
        if exchange.perpetuals:
            its_own += f"; perpetuals alone are below /{exchange.name}/fapi/v1/"
        return web.Response(
            text=f"{exchange.name} in Binance's protocol, as in "
            f"{base}klines?symbol={word}&interval=1h, {base}exchangeInfo and the WebSocket "
            f"/{exchange.name}/ws{its_own}; {OURS}\n"
        )


def _bases(exchange: ServedExchange) -> list[str]:
    """Return where the protocols begin that can be spoken of an exchange, Binance's first."""
    base = f"/{exchange.name}/api/v3/"
    return [base, base + OF_COINBASE] if exchange.venue == SPEAKS else [base]
