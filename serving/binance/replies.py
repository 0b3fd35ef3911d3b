"""Answers in Binance's form: its errors, and what it says of a path that is none."""

from collections.abc import Mapping
from typing import Any

import orjson
from aiohttp import web

BUSY, UNSUPPORTED, NO_KEY = -1001, -1020, -2015
READS = ("GET", "HEAD")
NO_PATH = "<html><body><h2>404 Not found</h2></body></html>"  # for who takes web pages
NOT_SIGNED = "Public market data is served here, and no signed call"
# Paths that are called with a key, whichever method they take.
SIGNED = {
    *("account", "account/commission", "allOrderList", "allOrders", "myAllocations"),
    *("myFilters", "myPreventedMatches", "myTrades", "openOrderList", "openOrders"),
    *("order", "order/amend/keepPriority", "order/amendments", "order/cancelReplace", "order/oco"),
    *("order/test", "orderList", "orderList/oco", "orderList/opo", "orderList/opoco"),
    *("orderList/oto", "orderList/otoco", "rateLimit/order", "sor/order", "sor/order/test"),
    *("userDataStream", "userListenToken"),
}


def refusal(
    status: int, code: int, text: str, headers: Mapping[str, str] | None = None
) -> web.Response:
    """Return an error: its code and its text."""
    return said({"code": code, "msg": text}, headers, status)


def unserved(path: str, method: str, accept: str, is_public: bool) -> web.Response | None:
    """Return the answer to a request that no parameter could make right, None for any other.

    `accept` is what sort of answers it takes; web pages get one where there is no such path.
    """
    if path in SIGNED:
        return refusal(401, NO_KEY, NOT_SIGNED)
    if not is_public and "text/html" in accept:
        return web.Response(status=404, text=NO_PATH, content_type="text/html")
    if not is_public:
        return web.Response(status=404, text="")
    if method not in READS:
        text = "This operation is not supported."
        return refusal(405, UNSUPPORTED, text, {"Allow": ",".join(READS)})
    return None


def said(content: Any, headers: Mapping[str, str] | None = None, status: int = 200) -> web.Response:
    """Return an answer as the exchange writes it: without a space between."""
    return as_json(orjson.dumps(content), headers or {}, status)


def as_json(content: bytes, headers: Mapping[str, str], status: int = 200) -> web.Response:
    return web.Response(
        body=content, content_type="application/json", headers=headers, status=status
    )
