"""The answer where there is no true one."""

from livermore.market.coverage import Coverage

RETRY_SECONDS = 5


class Unavailable(Exception):
    """What is asked for can't be told truthfully now; `retry_seconds` is when to ask again.

    `missing` are the stretches whose candles are not known, where it is for want of those.
    """

    def __init__(self, why: str, retry_seconds: int | None = None, missing: Coverage = ()):
        super().__init__(why)
        self.retry_seconds = retry_seconds or RETRY_SECONDS
        self.missing = missing
