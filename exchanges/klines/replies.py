"""What refusals (`{"code","msg"}`) and headers say in this protocol."""

import re
from collections.abc import Mapping
from typing import Any

from exchanges.errors import BadCredentials, LivermoreError, UnknownSymbol, Unreachable, clip

UNKNOWN_SYMBOL, BUSY, BAD_KEY = {"-1121"}, {"-1001", "-1007", "-1008"}, {"-2014", "-2015"}


def error_of(status: int, body: Any) -> LivermoreError | None:
    """Return the error that `{"code","msg"}` names, None if none of ours."""
    body = body if isinstance(body, dict) else {}
    code = str(body.get("code"))
    said = clip(str(body.get("msg") or "")) if is_own_error(body) else f"HTTP {status}"
    if code in UNKNOWN_SYMBOL:
        return UnknownSymbol(f"the exchange does not know this symbol: {said}")
    if code in BUSY:
        return Unreachable(f"the exchange is busy: {said}")
    if code in BAD_KEY or status == 401:
        return BadCredentials(f"the exchange does not accept the key: {said}")
    return None


def is_own_error(body: Any) -> bool:
    """Tell whether the exchange itself wrote the body of a refusal, and nobody in front of it."""
    return isinstance(body, dict) and "code" in body


def used_weight(headers: Mapping[str, str]) -> int | None:
    """Return what this address has used in the exchange's minute, by its own count."""
    text = headers.get("X-MBX-USED-WEIGHT-1M", "")
    return int(text) if re.fullmatch("[0-9]{1,9}", text) else None
