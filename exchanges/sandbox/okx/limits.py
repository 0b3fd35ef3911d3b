"""How much an address may ask of each of OKX's endpoints."""

from collections import defaultdict, deque

WINDOW_MS = 2_000


class EndpointLimits:
    """So many calls of an endpoint in any two seconds of the clock, each endpoint by itself."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._calls: defaultdict[str, deque[int]] = defaultdict(deque)

    def spend(self, endpoint: str, most: int, now_ms: int) -> bool:
        """Count a call unless it is one too many; return whether it may pass."""
        calls = self._calls[endpoint]
        while calls and not now_ms - WINDOW_MS < calls[0] <= now_ms:
            calls.popleft()
        if len(calls) >= most:
            return False
        calls.append(now_ms)
        return True
