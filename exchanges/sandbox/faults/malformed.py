"""Ways to break a frame, the same for every protocol."""

import re
from collections.abc import Callable

import orjson


def _numbers(change: Callable[[dict, str], None]) -> Callable[[bytes], bytes]:
    """Return a way that changes every number written as text, however deep it lies."""

    def walk(value: dict | list) -> None:
        for part in value.values() if isinstance(value, dict) else value:
            if isinstance(part, dict | list):
                walk(part)
        if isinstance(value, dict):
            for name in list(value):
                if isinstance(value[name], str) and re.fullmatch(r"-?[\d.]+", value[name]):
                    change(value, name)

    def way(payload: bytes) -> bytes:
        try:
            content = orjson.loads(payload)
        except ValueError:  # another scenario was here before
            return payload
        walk(content)
        return orjson.dumps(content)

    return way


BROKEN: dict[str, Callable[[bytes], bytes]] = {
    "truncated": lambda payload: payload[: len(payload) // 2],
    "types": _numbers(lambda holder, name: holder.__setitem__(name, {"value": None})),
    "missing": _numbers(lambda holder, name: holder.__delitem__(name)),
    "list": lambda payload: b"[%s,null,7]" % payload,
    "text": lambda payload: b"upstream connect error or disconnect/reset before headers",
    "utf8": lambda payload: payload[:8] + b"\xff\xfe" + payload[8:],
}
