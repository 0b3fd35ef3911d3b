"""The header `Cache-Status`: how much of an answer the cache had (RFC 9211)."""

HIT = "livermore; hit"
MISS = "livermore; fwd=miss"  # all of it was asked of the exchange
PARTIAL = "livermore; fwd=partial"


def cache_status(*, kept: bool, fetched: bool) -> str:
    """Return what is said of an answer with parts that were kept, or fetched for it, or both."""
    if not fetched:
        return HIT
    return PARTIAL if kept else MISS
