"""The words of the Network page that need explaining: in a line, and where more of it stands."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Word:
    """`document` and `anchor` say where in the documents it is explained."""

    title: str
    text: str
    anchor: str
    document: str = "network"


WORDS = {
    "live": Word(
        "Live or stale",
        "Live: what you see moves by itself. Stale: nothing comes, so it may be out of date.",
        "is-what-i-see-current",
    ),
    "agents": Word(
        "Agents",
        "The processes that do the work, one on each machine. Without one nothing begins.",
        "agents",
    ),
    "state": Word(
        "State",
        "What the runner of this exchange does now, or that it says nothing.",
        "states",
        "operations",
    ),
    "past": Word(
        "Past",
        "What agents saw of it: who ran it, its states, holes and bans. Kept for thirty days.",
        "an-exchanges-past",
    ),
    "frames": Word(
        "Frames per second",
        "Messages from the exchange in the last second. A quiet market sends few.",
        "frames-per-second",
    ),
    "newestClose": Word(
        "Newest close",
        "When the newest candle ended that is final: mostly about a minute ago.",
        "newest-close-and-heartbeat",
    ),
    "heartbeat": Word(
        "Heartbeat",
        "When the runner last said that it is there: each second while it streams, else each 15.",
        "newest-close-and-heartbeat",
    ),
    "reconnects": Word(
        "Reconnects",
        "How often a connection was made anew since the start. What was missed is fetched.",
        "reconnects",
    ),
    "holes": Word(
        "Holes",
        "Pairs (a symbol in a timeframe) that lack candles which the exchange may have.",
        "holes",
    ),
    "symbols": Word(
        "Symbols",
        "What is kept warm and live. Polled: asked for at each bar's end, as it can't be streamed.",
        "symbols-and-streams",
    ),
    "weight": Word(
        "Request weight",
        "What was asked of the exchange in the last minute, of what it allows this address.",
        "request-weight",
    ),
    "audit": Word(
        "Audit",
        "Candles that are kept, asked for again at random, each night: do they agree?",
        "audit",
    ),
    "venue": Word(
        "Venue",
        "The protocol that it speaks, and whether ours was ever tried with the exchange itself.",
        "venue",
    ),
    "key": Word(
        "Key",
        "The account whose key signs the calls, chosen in the exchange's row. Candles need none.",
        "key",
    ),
    "warmup": Word(
        "Warmup",
        "Fills each pair that has fewer than 60 candles, before the exchange is streamed.",
        "the-warmup",
    ),
    "buttons": Word(
        "What the buttons do",
        "Connect lets an agent run it, after restarts too; Stop ends that.",
        "what-the-buttons-do",
    ),
    "completeness": Word(
        "Completeness",
        "One cell is a symbol in a timeframe: its sign says whether anything is missing.",
        "completeness",
    ),
    "price": Word(
        "Last price",
        "As the exchange streamed it, with its change over 24 hours. –: none came for 60 seconds.",
        "last-price",
    ),
    "readers": Word(
        "Who reads",
        "Programs that get candles from here, in the last minute: how many answers the cache had.",
        "who-reads",
    ),
    "accounts": Word(
        "Your accounts",
        "They name the variables that hold your keys. Public candles need none.",
        "your-accounts",
    ),
    "volume": Word(
        "24 h volume",
        "What was traded in 24 hours, in the quote currency, by the exchange. –: not known.",
        "24-h-volume",
    ),
    "undo": Word(
        "Choosing symbols",
        "Add and Remove switch what is ticked or typed. Undo takes back exactly that.",
        "choosing-symbols",
    ),
    "missing": Word(
        "Missing and quiet",
        "Missing: the exchange may have candles here. Quiet: nothing was traded, so it has none.",
        "a-pairs-page",
    ),
    "macdv": Word(
        "MACD-V",
        "Momentum of the closed candles, measured by how much the price moves.",
        "indicators",
        "indicators",
    ),
    "signals": Word(
        "Signals",
        "MACD-V by symbol and timeframe. Hatched: stale. Dashed: some of its candles are missing.",
        "what-each-column-says",
        "signals",
    ),
    "stages": Word(
        "Stages",
        "Where in its swing the momentum is. Choose one or more to see only those.",
        "colours-and-stages",
        "signals",
    ),
}
