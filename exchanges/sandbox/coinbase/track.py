"""Coinbase's Track API, which lies beside its brokerage at the same host.

Shapes follow docs.cdp.coinbase.com/coinbase-app/track-apis (November 2026): everything below
`data`, errors as a list. A fiat currency has an `id`, a crypto currency a `code`.
"""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime

from exchanges.sandbox.coinbase.settings import NAME
from exchanges.sandbox.market.market import Market
from exchanges.sandbox.protocol import Endpoint
from exchanges.sandbox.server.calls import Call, Refusal, Reply, as_json
from livermore.market.timeframe import Timeframe

PREFIX = "/v2"
FIAT = {"EUR": "Euro", "GBP": "Pound Sterling", "USD": "United States Dollar"}
DOLLAR = "USD"


class Track:
    """Currencies, what they cost, and the time."""

    def __init__(self, market: Market):
        self._market = market

    def endpoints(self) -> Iterator[Endpoint]:
        pair = f"{PREFIX}/prices/{{segment}}"
        yield Endpoint("v2.time", f"{PREFIX}/time", _time)
        yield Endpoint("v2.currencies", f"{PREFIX}/currencies", _fiat)
        yield Endpoint("v2.crypto", f"{PREFIX}/currencies/crypto", self._crypto)
        yield Endpoint("v2.rates", f"{PREFIX}/exchange-rates", self._rates)
        for side in ("buy", "sell", "spot"):
            yield Endpoint("v2.price", f"{pair}/{side}", self._price)

    def _crypto(self, call: Call) -> Reply:
        codes = sorted(self._dollars(call.now_ms).keys() - FIAT.keys())
        return _data([_currency(code, 100 + at) for at, code in enumerate(codes)])

    def _rates(self, call: Call) -> Reply:
        currency = call.params.get("currency") or DOLLAR
        dollars = self._dollars(call.now_ms)
        if currency not in dollars:
            raise _refused(400, "invalid_request", f"Invalid currency ({currency})")
        rates = {code: f"{dollars[currency] / each:.16g}" for code, each in sorted(dollars.items())}
        return _data({"currency": currency, "rates": rates})

    def _price(self, call: Call) -> Reply:
        base, _, quote = call.segment.partition("-")
        dollars = self._dollars(call.now_ms)
        if base not in dollars or quote not in dollars:
            raise _refused(404, "not_found", "Invalid base currency")
        amount = f"{dollars[base] / dollars[quote]:.8f}"
        return _data({"amount": amount, "base": base, "currency": quote})

    def _dollars(self, now_ms: int) -> dict[str, float]:
        """Return what a unit of each currency costs in dollars now."""
        found = {DOLLAR: 1.0}
        for listing in list(self._market.listings.values()):
            if listing.quote == DOLLAR and listing.is_on(NAME):
                bar = self._market.of(listing.symbol).open_bar(Timeframe.M1, now_ms)
                if bar:
                    found[listing.base] = bar.close / 10**listing.decimals
        return found


def _fiat(call: Call) -> Reply:
    return _data([{"id": one, "name": name, "min_size": "0.01"} for one, name in FIAT.items()])


def _currency(code: str, sort_index: int) -> dict:
    return {
        "asset_id": str(uuid.uuid5(uuid.NAMESPACE_DNS, code)),
        "code": code,
        "name": code.title(),
        "color": "#0433FF",
        "sort_index": sort_index,
        "exponent": 8,
        "type": "crypto",
        "address_regex": "^[0-9a-zA-Z]{20,90}$",
    }


def _time(call: Call) -> Reply:
    seconds = call.now_ms // 1000
    moment = datetime.fromtimestamp(seconds, UTC)
    return _data({"iso": f"{moment:%Y-%m-%dT%H:%M:%SZ}", "epoch": seconds})


def _data(content: object) -> Reply:
    return as_json({"data": content})


def _refused(status: int, name: str, message: str) -> Refusal:
    return Refusal(as_json({"errors": [{"id": name, "message": message}]}, status))
