"""What Binance says of a request that it can't answer (errors.md)."""

BAD_SYMBOL = (-1121, "Invalid symbol.")
BAD_INTERVAL = (-1120, "Invalid interval.")
BAD_STATUS = (-1122, "Invalid symbolStatus.")
BAD_COMBINATION = (-1128, "Combination of optional parameters invalid.")
BAD_TICKER_TYPE = (-1139, "Invalid ticker type.")
REPEATED_SYMBOL = (-1151, "Symbol is present multiple times in the list.")
BAD_TIME_UNIT = (
    -1194,
    "Invalid value for time unit; expected either MICROSECOND or MILLISECOND.",
)
OTHER_STATUS = (-1220, "The symbol's status does not match the requested symbolStatus.")


class ApiError(Exception):
    """A refused request: HTTP 400 with the `{"code","msg"}` that `content` is."""

    def __init__(self, code: int, message: str):
        super().__init__(message)
        self.content = {"code": code, "msg": message}
