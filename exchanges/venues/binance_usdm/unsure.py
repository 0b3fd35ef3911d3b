"""What of Binance's USD-M futures nobody has seen, and how it is asked on first contact."""

from exchanges.contact.asking import frames_that, topics_on_a_connection, unknown_symbol
from exchanges.contact.fact import UnsureFact

COIN_MARGINED = b'"st":2'
TOPICS = 300  # more than the 200 that somebody was refused in an address

UNSURE = (
    UnsureFact(
        name="topics_on_a_connection",
        question=f"Does one connection take {TOPICS} streams that are subscribed by messages?",
        assumed="It may not: 200 are asked for on each, where 1024 are documented.",
        ask=topics_on_a_connection(TOPICS),
    ),
    UnsureFact(
        name="coin_margined_tickers",
        question="Do the tickers of all markets hold rows of coin-margined contracts?",
        assumed="They may: rows that say so are left out.",
        ask=frames_that(
            lambda frame: COIN_MARGINED in frame, "frames with such rows", expected=None, seconds=10
        ),
    ),
    UnsureFact(
        name="unknown_symbol",
        question="How are candles of a contract refused that there is none of?",
        assumed="By code -1121 with HTTP 400.",
        ask=unknown_symbol("NOPEUSDT"),
    ),
)
