"""How much a caller may ask before an exchange refuses; every caller counts as one address."""

from collections import deque

from livermore.market.timeframe import MINUTE_MS


class WeightLimit:
    """So much request weight in a minute of the clock, then 429, then bans that grow."""

    def __init__(self, limit: int, strikes: int, ban_ms: int, longest_ban_ms: int):
        self.limit = limit
        self._strikes_allowed = strikes
        self._ban_ms = ban_ms
        self._longest_ban_ms = longest_ban_ms
        self.reset()

    def reset(self) -> None:
        self.used = self.strikes = self.bans = 0
        self.banned_until_ms = 0
        self._minute = 0

    def spend(self, weight: int, now_ms: int) -> int:
        """Count a call and return the status it deserves: 200, 429 or 418."""
        self._begin_minute(now_ms)
        self.used += weight
        if now_ms < self.banned_until_ms:
            return 418
        if self.used <= self.limit:
            return 200
        self.strikes += 1
        if self.strikes <= self._strikes_allowed:
            return 429
        self.banned_until_ms = now_ms + min(self._ban_ms * 2**self.bans, self._longest_ban_ms)
        self.bans += 1
        self.strikes = 0
        return 418

    def retry_after_seconds(self, now_ms: int) -> int:
        """Return the whole seconds until a call may succeed again."""
        free_ms = self.banned_until_ms
        if now_ms >= free_ms:
            free_ms = (now_ms // MINUTE_MS + 1) * MINUTE_MS
        return -(-(free_ms - now_ms) // 1000)

    def _begin_minute(self, now_ms: int) -> None:
        minute = now_ms // MINUTE_MS
        if minute != self._minute:
            self._minute, self.used, self.strikes = minute, 0, 0


class RateLimit:
    """So many calls in any second."""

    def __init__(self, per_second: int):
        self.per_second = per_second
        self.reset()

    def reset(self) -> None:
        self._calls: deque[int] = deque()

    def spend(self, now_ms: int) -> bool:
        """Count a call unless it is one too many; return whether it may pass."""
        calls = self._calls
        while calls and not now_ms - 1000 < calls[0] <= now_ms:
            calls.popleft()
        if len(calls) >= self.per_second:
            return False
        calls.append(now_ms)
        return True
