"""How many calls Bybit allows: within five seconds, and then none for ten minutes."""

from collections import deque

WINDOW_MS = 5_000


class CallLimit:
    """So many calls in any five seconds; one more, and nobody is answered for a while."""

    def __init__(self, calls: int, ban_ms: int):
        self._most, self._ban_ms = calls, ban_ms
        self.reset()

    def reset(self) -> None:
        self._calls: deque[int] = deque()
        self.banned_until_ms = 0

    def spend(self, now_ms: int) -> bool:
        """Count a call; return whether it is answered."""
        if now_ms < self.banned_until_ms:
            return False
        calls = self._calls
        while calls and not now_ms - WINDOW_MS < calls[0] <= now_ms:
            calls.popleft()
        calls.append(now_ms)
        if len(calls) <= self._most:
            return True
        self.banned_until_ms = now_ms + self._ban_ms
        return False
