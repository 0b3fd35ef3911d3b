"""What a venue is: a protocol that exchanges speak, and all that is to be known of it.

Each folder in `exchanges/venues/` gives one `VENUE`. Models ask which there are, so nothing here,
and nothing in those folders, imports a model.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from exchanges.contact.fact import UnsureFact
from exchanges.errors import LivermoreError
from exchanges.rest.base import VenueRest
from exchanges.rest.key import KeyLoader
from exchanges.rest.pacing.budget import CallLimit, Limits
from exchanges.rest.reply import QuietBars
from exchanges.rest.response_limits import ResponseLimits
from exchanges.stream.base import VenueStream
from exchanges.symbols.listed import ListedSymbol
from livermore.market.timeframe import Timeframe

USUAL_ANSWERS = ResponseLimits()


@dataclass(frozen=True, slots=True)
class Preset:
    """What the row of an exchange that is known from the start holds.

    `default_symbols` are canonical and monitored from the first sync on if they trade; None means
    every symbol that trades. `answers` is the most that one of its answers over REST may be and
    take, None for what goes for its venue; neither is a part of the row. One that is not
    `is_active` begins when a person activates it.
    """

    name: str
    display_name: str
    rest_url: str
    ws_url: str
    pacing: str
    default_symbols: tuple[str, ...] | None
    answers: ResponseLimits | None = None
    archive_url: str = ""
    is_active: bool = True


@dataclass(frozen=True, slots=True)
class Archive:
    """How a venue publishes candles in bulk: zips that hold one CSV each, without or with a header.

    `month` and `day` return the path of the zip of a pair below a row's archive address, given the
    `market_name` of its REST, the timeframe and the period as `2026-11` or `2026-11-29`. Beside
    each, with `checksum_suffix`, lies a text that begins with its SHA-256.
    `columns` are those of the CSV, in order, named as `history.parquet.COLUMNS` and `close_time`;
    any other name is not read. Times are in ms or us, which their size tells.
    """

    month: Callable[[str, Timeframe, str], str]
    day: Callable[[str, Timeframe, str], str]
    columns: tuple[str, ...]
    checksum_suffix: str


@dataclass(frozen=True, slots=True)
class RequestWeight:
    """How a venue publishes its limits: by a weight of each request.

    `used` reads the headers of an answer: what this address has used in the exchange's minute, None
    where they don't say. `ask` asks what is published, naming one market (None: any), and returns
    None where that makes no sense. `workers` is how many calls may usefully be under way at once.
    """

    until_known: Limits
    used: Callable[[Mapping[str, str]], int | None]
    ask: Callable[[VenueRest, str | None], Limits | None]
    workers: int


@dataclass(frozen=True, slots=True)
class Venue:
    """One protocol, which several exchanges may share; `name` is what their rows hold.

    What its candles are like (`quiet_bars`, `lag_ms`, ...) is said where they are read, by the
    classes `rest` and `stream`.
    """

    name: str
    label: str
    rest: type[VenueRest]
    stream: type[VenueStream]
    read_listing: Callable[[Any], list[ListedSymbol]]
    read_error: Callable[[int, Any], LivermoreError | None]
    is_own_error: Callable[[Any], bool]  # of a refusal's body: the exchange wrote it
    presets: tuple[Preset, ...]
    seen_live: bool  # whether this code has ever talked to the exchange itself
    api_path: str = ""  # what of a row's REST address follows the host
    stream_paths: tuple[str, ...] = ()  # with one of which its WebSocket address has to end
    weight: RequestWeight | None = None  # None: it publishes none, so rows are paced by batches
    calls: CallLimit | None = None  # of all its REST, where it counts calls and no weight
    errors_in_200: bool = False  # what it refuses may come with HTTP 200: `read_error` sees it all
    # Of a refusal's status and beginning: for how many seconds it bans this address, None: it is no
    # ban. HTTP 418 is one wherever it comes from.
    read_ban: Callable[[int, bytes], float | None] = lambda status, content: None
    answers: ResponseLimits = USUAL_ANSWERS
    load_key: KeyLoader | None = None  # None: candles need no key, so none is loaded or sent
    elsewhere: Callable[[str], str] = lambda host: ""  # where else its candles are, for a person
    archive: Archive | None = None  # None: nobody publishes candles of it in bulk
    unsure: tuple[UnsureFact, ...] = ()  # what is taken for true of it, and nobody has seen

    @property
    def key_prefix(self) -> str:
        """Return how the names of variables begin that hold its keys."""
        return f"{self.name.upper()}_"

    @property
    def seen_in_words(self) -> str:
        """Return whether anybody has tried this code with an exchange itself."""
        if self.seen_live:
            return "seen live"
        return "not seen live yet: written from documents, tried with the sandbox alone"

    @property
    def quiet_bars(self) -> QuietBars:
        """Return whether it has rows for bars without trades."""
        return self.rest.quiet_bars

    @property
    def settle_ms(self) -> int:
        """Return how long after its end a bar may still change in REST answers."""
        return self.rest.settle_ms

    @property
    def lag_ms(self) -> int:
        """Return how long after its end an answer may still lack a bar, or tell a part of it."""
        return self.rest.lag_ms

    @property
    def depth_rows(self) -> int | None:
        """Return of how many of its newest closed bars REST tells; None: of all."""
        return self.rest.depth_rows

    @property
    def marks_closed_bars(self) -> bool:
        """Return whether its stream says of a bar that it is closed."""
        return self.stream.marks_closed_bars
