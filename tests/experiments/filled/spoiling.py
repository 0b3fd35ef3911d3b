"""What goes wrong while history is filled: every kind of it, in an order that is drawn."""

from exchanges.sandbox.faults.archives import WAYS as ARCHIVE_WAYS
from exchanges.sandbox.faults.faults import LATE
from exchanges.sandbox.faults.rows import BAD_ROWS
from livermore.market.timeframe import Timeframe

IN_BULK = (Timeframe.M1, Timeframe.M5, Timeframe.M15)  # of which `auto` takes bulk files
DAY_MS = Timeframe.D1.ms
MIDDLE_MS = 14 * DAY_MS  # of a month
SPOILT_SHARE = 2 / 3  # of the months that are published in bulk
IN_FORCE = 3  # faults of REST at one time
OFF_MS = 300_000
LATE_SECONDS = 240  # less than exchanges are known to be late with a bar
SKEW_SECONDS = 1.0

# A row in the middle of a month that differs nobody notices: docs/history.md says so.
ARCHIVE = [
    *({"way": way} for way in ARCHIVE_WAYS),
    *({"way": way, "chance": 0.01} for way in ("off_grid", "bad_row")),
    {"way": "differs", "chance": 0.1},
]
OF_ANSWERS = [
    *({"kind": "status", "status": status} for status in (403, 451, 500, 503)),
    *({"kind": "status", "status": status, "retry_after": 1} for status in (418, 429)),
    {"kind": "status", "status": 502, "text": "<h1>Bad gateway</h1>"},
    {"kind": "html200"},
    *({"kind": "truncated", "cut": cut} for cut in ("length", "json")),
    {"kind": "reset"},
    {"kind": "slow", "seconds": 0.5},
    # Once alone: what was told to be empty a second time is believed.
    {"kind": "holes", "chance": 0.05, "times": 1},
    *({"kind": "bad_rows", "way": way} for way in BAD_ROWS),
    {"kind": "empty", "times": 1},
    *({"kind": "late", "seconds": LATE_SECONDS, "way": way} for way in LATE),
    *({"kind": "time", "ms": ms} for ms in (OFF_MS, -OFF_MS)),
]
SKEWS = [{"kind": "skew", "ms": ms, "seconds": SKEW_SECONDS} for ms in (OFF_MS, -OFF_MS)]
REST = (*OF_ANSWERS, *SKEWS)
FEW = REST[2::12]  # none of which ends a run


def archive_faults(random, pairs, months):
    """Return faults for most of the months that are published, each way at least once."""
    cells = [(pair, month) for pair in pairs if pair.timeframe in IN_BULK for month in months]
    random.shuffle(cells)
    ways = random.sample(ARCHIVE, len(ARCHIVE))
    spoilt = cells[: max(len(ways), int(SPOILT_SHARE * len(cells)))]
    return [
        {
            "kind": "archive",
            "symbol": pair.symbol,
            "timeframe": str(pair.timeframe),
            "open_times": [month.start_ms + MIDDLE_MS],
            **ways[number % len(ways)],
        }
        for number, (pair, month) in enumerate(spoilt)
    ]


class RestSpoiling:
    """Puts faults of REST in force, a few at a time; each happens to one answer, or to two."""

    def __init__(self, random, sandbox, protocol, kinds):
        self._sandbox = sandbox
        self._left = [
            each if each in SKEWS else {"protocol": protocol, "times": random.randint(1, 2), **each}
            for each in random.sample(kinds, len(kinds))
        ]
        self._in_force, self._happened = [], []

    def step(self):
        """Put the next ones in force in place of those that have happened."""
        done = [each for each in self._in_force if _is_over(each)]
        self._happened += done
        for each in done:
            self._in_force.remove(each)
        while self._left and len(self._in_force) < IN_FORCE:
            settings = self._left.pop(0)
            place = self._sandbox.scenarios if settings in SKEWS else self._sandbox.faults
            self._in_force.append(place.add(**settings))

    @property
    def answers(self):
        """Return to how many answers something happened; skews of the clock count as one."""
        return sum(each.hits for each in (*self._happened, *self._in_force))

    @property
    def left(self):
        """Return which kinds have not happened yet."""
        return [each["kind"] for each in self._left] + [
            each.kind for each in self._in_force if not each.hits
        ]


def _is_over(each):
    if each.kind == "skew":
        return each.hits and not each.active
    return each.hits >= each.times
