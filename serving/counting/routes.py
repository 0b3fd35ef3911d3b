"""Which route a request took, in as many words as there are, however many addresses are asked."""

import re

from aiohttp import web

from serving.binance.weights import WEIGHTS

OTHER, SOCKET = "other", "ws"
PRODUCTS = "brokerage/market/products"
COINBASE = {
    "brokerage/time",
    "brokerage/market/product_book",
    PRODUCTS,
    *(f"{PRODUCTS}/…{each}" for each in ("", "/candles", "/ticker")),
}
TRACK = {
    "v2/time",
    "v2/currencies",
    "v2/currencies/crypto",
    "v2/exchange-rates",
    *(f"v2/prices/…/{each}" for each in ("buy", "sell", "spot")),
}
REST = {"ping", "time", *WEIGHTS, *COINBASE, *TRACK}
PRODUCT = re.compile(rf"(?<={PRODUCTS}/)[^/]+|(?<=v2/prices/)[^/]+")
CANDLES = {"klines", "uiKlines", "v1/candles", f"{PRODUCTS}/…/candles"}
NATIVE = re.compile(r"(?:/k/[^/]*)?/v1/([a-z.-]+)")
SOCKETS = ("/ws", "/stream")


def route_of(request: web.Request) -> str:
    """Return the route's name: `klines`, `v1/candles`, `ws`; `other` for all that is no route."""
    resource = request.match_info.route.resource
    if resource is None:
        return OTHER
    shape = resource.canonical
    if "/api/v3/" in shape or "/fapi/v1/" in shape:
        return _rest(request.match_info.get("path", ""))
    if "/v2/" in shape:
        return _rest(f"v2/{request.match_info.get('path', '')}")
    if native := NATIVE.fullmatch(request.path):
        return f"v1/{native[1]}"
    if any(f"{{exchange}}{each}" in shape for each in SOCKETS):
        return SOCKET
    return shape.strip("/") if shape in ("/health/", "/metrics") else OTHER


def _rest(path: str) -> str:
    found = PRODUCT.sub("…", path)
    return found if found in REST else OTHER
