"""What Binance says of a request that it can't answer (errors.md)."""

BAD_SYMBOL = (-1121, "Invalid symbol.")
BAD_INTERVAL = (-1120, "Invalid interval.")


class ApiError(Exception):
    """A refused request: HTTP 400 with the `{"code","msg"}` that `content` is."""

    def __init__(self, code: int, message: str):
        super().__init__(message)
        self.content = {"code": code, "msg": message}
