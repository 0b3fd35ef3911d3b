"""Every name that Livermore gives to something in Redis: keys and channels.

`exchange_id` is the primary key of the exchange's row, `symbol` is canonical `BASE-QUOTE`,
`timeframe` is one of the six texts. Nobody builds such a name anywhere else.

A prefix stands before each. With tags the exchange stands in braces (`candles:{7}:BTC-USD:1h`):
Redis Cluster takes what is between them for a key's slot, so that an exchange is in one, and a
script may have several of its keys. So have names of no exchange that one script has together.
"""

from livermore.market.naming import named, shared, tag
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe


def candles(exchange_id: int, symbol: str, timeframe: str) -> str:
    """Name the sorted set of closed candles, scored by open time."""
    return named(f"candles:{tag(exchange_id)}:{symbol}:{timeframe}")


def live_candle(exchange_id: int, symbol: str, timeframe: str) -> str:
    """Name the string that holds the open candle."""
    return named(f"candle:live:{tag(exchange_id)}:{symbol}:{timeframe}")


def coverage(exchange_id: int, symbol: str, timeframe: str) -> str:
    """Name the string that says for which times the cache holds all that the exchange has."""
    return named(f"coverage:{tag(exchange_id)}:{symbol}:{timeframe}")


def unconfirmed(exchange_id: int) -> str:
    """Name the hash that says, by pair, which stretches an exchange has to tell again."""
    return named(f"exchange:{tag(exchange_id)}:unconfirmed")


def told(exchange_id: int) -> str:
    """Name the hash that says, by pair, up to where its closes were told."""
    return named(f"exchange:{tag(exchange_id)}:told")


def pair_field(symbol: str, timeframe: str) -> str:
    """Name a pair in a hash of an exchange."""
    return f"{symbol}:{timeframe}"


def pair_of(field: bytes) -> Pair | None:
    """Return the pair that a field of such a hash names, None where it names none."""
    symbol, _, timeframe = field.decode("utf-8", "replace").rpartition(":")
    try:
        return Pair(symbol, Timeframe(timeframe))
    except ValueError:
        return None


def candle_channel(exchange_id: int, symbol: str, timeframe: str) -> str:
    """Name the pub/sub channel of every change of a candle, its close among them."""
    return named(f"channel:candle:{tag(exchange_id)}:{symbol}:{timeframe}")


def close_channel(exchange_id: int, symbol: str, timeframe: str) -> str:
    """Name the pub/sub channel of closed candles."""
    return named(f"channel:candle:close:{tag(exchange_id)}:{symbol}:{timeframe}")


def ticker(exchange_id: int, symbol: str) -> str:
    """Name the string that holds the last ticker."""
    return named(f"ticker:{tag(exchange_id)}:{symbol}")


def ticker_channel(exchange_id: int, symbol: str) -> str:
    """Name the pub/sub channel on which each ticker is published."""
    return named(f"channel:ticker:{tag(exchange_id)}:{symbol}")


def indicator(exchange_id: int, symbol: str, timeframe: str) -> str:
    """Name the string that holds MACD-V of the newest closed candle."""
    return named(f"indicator:{tag(exchange_id)}:{symbol}:{timeframe}:macd-v")


def indicator_channel(exchange_id: int, symbol: str, timeframe: str) -> str:
    """Name the pub/sub channel on which each new MACD-V is published."""
    return named(f"channel:indicator:{tag(exchange_id)}:{symbol}:{timeframe}:macd-v")


def warmup_schedule(exchange_id: int) -> str:
    """Name the string that holds the last warmup's schedule."""
    return named(f"exchange:{tag(exchange_id)}:warm-up-schedule:symbols")


def warmup_stats(exchange_id: int) -> str:
    """Name the string that holds the last warmup's progress."""
    return named(f"exchange:{tag(exchange_id)}:warm-up-schedule:stats")


def lock(exchange_id: int) -> str:
    """Name the string that says who may write this exchange's data."""
    return named(f"exchange:{tag(exchange_id)}:lock")


def epoch(exchange_id: int) -> str:
    """Name the counter of the last fencing epoch given out."""
    return named(f"exchange:{tag(exchange_id)}:epoch")


def server(exchange_id: int) -> str:
    """Name the string that says to which server the runner wrote last."""
    return named(f"exchange:{tag(exchange_id)}:server")


def status(exchange_id: int) -> str:
    """Name the string in which the lock's holder says what it does."""
    return named(f"exchange:{tag(exchange_id)}:status")


def successor(exchange_id: int) -> str:
    """Name the string that says who prepares to take an exchange over."""
    return named(f"exchange:{tag(exchange_id)}:successor")


def trouble(exchange_id: int) -> str:
    """Name the string that says why an exchange that shall run can't be reached."""
    return named(f"exchange:{tag(exchange_id)}:trouble")


def commands(exchange_id: int) -> str:
    """Name the hash of the last things that people had done to an exchange."""
    return named(f"exchange:{tag(exchange_id)}:commands")


def events(exchange_id: int) -> str:
    """Name the stream of closed and healed candles, for readers that must not lose one."""
    return named(f"exchange:{tag(exchange_id)}:events")


def control(exchange_id: int) -> str:
    """Name the stream of commands to the lock's holder and of its replies."""
    return named(f"exchange:{tag(exchange_id)}:control")


def volumes(exchange_id: int) -> str:
    """Name the string that says how much of each symbol was traded in 24 hours."""
    return named(f"exchange:{tag(exchange_id)}:volumes")


def exchange_changed(exchange_id: int) -> str:
    """Name the pub/sub channel that says what of an exchange changed that a page shows."""
    return named(f"channel:exchange:{tag(exchange_id)}:changed")


def lock_channel(exchange_id: int) -> str:
    """Name the pub/sub channel that tells those who wait for a lock that it was given back."""
    return named(f"channel:exchange:{tag(exchange_id)}:lock")


def holder_channel(instance_id: str) -> str:
    """Name the pub/sub channel to which a lock's holder subscribes while its process lives."""
    return named(f"channel:holder:{instance_id}")


def fetch_turn(exchange_id: int) -> str:
    """Name the string that says which process fetches what programs wait for."""
    return named(f"exchange:{tag(exchange_id)}:fetch-turn")


def history_turn(exchange_id: int) -> str:
    """Name the string that says which process writes the files of an exchange's history."""
    return named(f"exchange:{tag(exchange_id)}:history-turn")


def passed(exchange_id: int, request: str) -> str:
    """Name the string that holds what an exchange answered to a request, known by its digest."""
    return named(f"exchange:{tag(exchange_id)}:passed:{request}")


def readers() -> str:
    """Name the hash in which each process that serves candles says who reads them."""
    return named("serving:readers")


def serving_counts(server_id: str) -> str:
    """Name the hash of what the processes of one server of candles have counted together."""
    return named(f"serving:counts:{server_id}")


def client_requests(client_id: int, second: int) -> str:
    """Name the counter of what an API client sent in a second."""
    return named(f"serving:client:{client_id}:requests:{second}")


def client_sockets(client_id: int) -> str:
    """Name the sorted set of the connections that an API client has open."""
    return named(f"serving:client:{client_id}:sockets")


def client_addresses(client_id: int) -> str:
    """Name the sorted set of the addresses from which an API client was let in lately."""
    return named(f"serving:client:{client_id}:addresses")


def guesses(address: str) -> str:
    """Name the set of the wrong tokens that an address has tried lately."""
    return named(f"serving:guesses:{address}")


def exchanges() -> str:
    """Name the hash that says which exchanges there are, by name."""
    return named("exchanges")


def alerts_turn() -> str:
    """Name the string that says which process evaluates alerts."""
    return named("alerts:turn")


def agents() -> str:
    """Name the hash in which each agent says that it is alive and what it runs."""
    return named("agents")


def installation() -> str:
    """Name the hash of the installations that name things so: there should be one."""
    return named("installation")


def old_rows_cleared() -> str:
    """Name the string that is there while old rows of the database need no clearing."""
    return named("old-rows:cleared")


def of_candles() -> tuple[str, ...]:
    """Return how all names begin of what says which candles there are, and which are missing."""
    return named("candles:"), named("coverage:"), named("exchange:")


def nothing(exchange_id: int = 0) -> str:
    """Name a string that is never there: to it nothing is written, to see whether one could."""
    return named(f"exchange:{tag(exchange_id)}:nothing")


def pacing(host: str) -> str:
    """Name the hash that all processes on this address share to keep `host`'s limits.

    `host` is a host with its port where it has one, in lower case.
    """
    return shared(f"pacing:{host}")


def login_attempts(who: str) -> str:
    """Name the counter of attempts to log in: of a user, an address, or a user from an address."""
    return named(f"{tag('login')}:attempts:{who}")


def login_known(who: str) -> str:
    """Name the string that says that a user has logged in from an address lately."""
    return named(f"{tag('login')}:known:{who}")
