"""The answer where there is no true one."""

RETRY_SECONDS = 5


class Unavailable(Exception):
    """What is asked for can't be told truthfully now; `retry_seconds` is when to ask again."""

    def __init__(self, why: str, retry_seconds: int | None = None):
        super().__init__(why)
        self.retry_seconds = retry_seconds or RETRY_SECONDS
