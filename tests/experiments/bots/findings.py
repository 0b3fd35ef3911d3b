"""What a bot found out, and how long it had to do without."""

import json
import re
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field

FAULTS_KEPT = 20
VARYING = re.compile(r"[\d][\d:.,TZ-]*")
FOLDERS = re.compile(r"/(?:[^/\s]+/)+")  # of a file, on whatever machine this runs
TOKEN = re.compile(r"/k/[^/]+")
KNOWN_CAUSES = ("not known yet: ", "can't be read", "no open candle is known", "nobody streams")
LONGEST_REASON = 120


@dataclass
class Findings:
    """Counts of one bot, and its faults.

    `cuts` are the moments, monotonic, at which a connection failed. `skipped` are closes that a
    socket was not told: symbol, interval and open time.
    """

    name: str
    answers: int = 0
    rows: int = 0
    closes: int = 0
    fetched: int = 0  # answers for which something had to be fetched
    limited: int = 0  # 429 and 418
    refused: Counter = field(default_factory=Counter)  # 503, by reason
    refusals: list[tuple[float, str]] = field(default_factory=list)  # when, and why
    cuts: list[float] = field(default_factory=list)
    cut_by: Counter = field(default_factory=Counter)
    skipped: list[tuple[str, str, int]] = field(default_factory=list)
    latest_ms: int = 0  # the newest bar was missing so long after its end in an answer
    open_latest_ms: int = 0  # a bar was shown as open so long after its end
    late: int = 0
    again: int = 0
    longest_outage: float = 0.0  # in seconds of ours
    faults: list[str] = field(default_factory=list)
    fault_count: int = 0
    _failing_since: float | None = None

    def well(self) -> None:
        """Learn that it was given what it wanted."""
        self._end_outage()
        self._failing_since = None

    def failing(self) -> None:
        """Learn that it was not."""
        if self._failing_since is None:
            self._failing_since = time.monotonic()
        self._end_outage()

    def _end_outage(self) -> None:
        if self._failing_since is not None:
            lasted = time.monotonic() - self._failing_since
            self.longest_outage = max(self.longest_outage, lasted)

    def fault(self, text: str) -> None:
        self.fault_count += 1
        if len(self.faults) < FAULTS_KEPT:
            self.faults.append(text)

    def answered(self, status: int, text: str, retry_after: str | None) -> None:
        """Take an answer that holds no candles."""
        self.failing()
        if status in (418, 429):
            self.limited += 1
            self.fault(f"HTTP {status} reached it: {text[:200]}")
        elif status != 503:
            self.fault(f"HTTP {status}: {text[:200]}")
        else:
            self.refused[reason_of(text)] += 1
            self.refusals.append((time.monotonic(), reason_of(text)))
            if not retry_after or not retry_after.isdigit() or int(retry_after) < 1:
                self.fault(f"503 with Retry-After {retry_after}")

    def cut(self, error: object) -> None:
        """Learn that a connection failed, or could not be made."""
        self.failing()
        self.cuts.append(time.monotonic())
        said = VARYING.sub("#", TOKEN.sub("/k/…", str(error)))
        self.cut_by[f"{type(error).__name__}: {said}"[:200]] += 1

    def as_json(self) -> dict:
        return {name: value for name, value in vars(self).items() if not name.startswith("_")}


def reason_of(text: str) -> str:
    """Return the reason of a 503 without what differs from one time to the next."""
    told = text
    with suppress(ValueError, AttributeError):  # no JSON, or no object
        found = json.loads(text[text.index("{") :])
        told = str(found.get("msg") or found.get("error") or found.get("message") or text)
    for cause in KNOWN_CAUSES:
        at = told.find(cause)
        if at >= 0:
            told = told[at:].removeprefix("not known yet: ")
            break
    return VARYING.sub("#", FOLDERS.sub("", told)).strip('"}] ')[:LONGEST_REASON]
