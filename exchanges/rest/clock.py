"""An exchange's own time, believed only as far as those who tell it agree."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from itertools import combinations
from statistics import median_low
from typing import NamedTuple

logger = logging.getLogger(__name__)

# After how long the exchange is asked again: while all is well, while somebody is outvoted, where
# a frame is a little ahead of what can be or its time goes at another pace than ours, which answers
# tell better that are further apart, and while nobody knows who is right.
PEACE_SECONDS, OUTVOTED_SECONDS, INEXACT_SECONDS, UNSETTLED_SECONDS = 300.0, 10.0, 5.0, 0.4
SLACK_MS = 250  # how far a frame may be ahead beyond what the way of REST's answer explains
ROUGH_MS = 50  # how exact REST's answers are
NEAR_MS = 2_000  # who is no further apart says the same
FRAMES_SECONDS, FRAMES_ASKED = 5.0, 5  # which frames have a say: the newest of so long
ANSWERS_KEPT = 3  # of REST: so many in a row show a pace
FEWEST_FRAMES = 3  # that have to say the same
LATE_SECONDS = 2.5  # so long frames are all late before that is looked into
FRAMES_APART_SECONDS = 0.02  # of those that come at once one is enough
SHORTEST_SPAN_SECONDS = 0.1  # between two answers that tell a pace
UNUSUAL_PACE = 1.1  # beyond that, or below its inverse, an exchange's time goes at its own pace
FRAMES_LATE_SECONDS = 0.3  # by which a frame may be later on its way than another
# Who tells the time; of two that agree the first one's counts.
REST, STREAM, BEFORE, MACHINE = "REST", "the stream", "what was believed", "this machine"
WALL = "this machine's clock since then"
FRAME = "a frame of the stream"


class Line(NamedTuple):
    """A time that goes on: `time_ms` at `since`, and `pace` ms more with every ms of ours.

    `since` is in seconds of this machine's monotonic clock.
    """

    since: float
    time_ms: float
    pace: float

    def at(self, moment: float) -> float:
        return self.time_ms + 1000 * (moment - self.since) * self.pace

    def later(self, ms: float) -> "Line":
        return self._replace(time_ms=self.time_ms + ms)

    def ahead_of(self, other: "Line") -> float:
        """Return by how many ms this one is ahead now."""
        now = time.monotonic()
        return self.at(now) - other.at(now)


class Answer(NamedTuple):
    """What REST said: `time_ms` was true at some moment from `sent` to `received`.

    `frame` is the newest frame that had come by then: when, and when it was sent.
    """

    sent: float
    received: float
    time_ms: int
    frame: tuple[float, int] | None = None


class Frames:
    """When the frames that came lately were sent, by the exchange."""

    def __init__(self):
        self._known: deque[tuple[float, int]] = deque(maxlen=FRAMES_ASKED)

    def follow_at_once(self, moment: float) -> bool:
        """Tell whether another one has just come: that has the say of all that come together."""
        return bool(self._known) and moment - self._known[-1][0] < FRAMES_APART_SECONDS

    def add(self, moment: float, time_ms: int) -> None:
        if not self.follow_at_once(moment):
            self._known.append((moment, time_ms))

    @property
    def newest(self) -> tuple[float, int] | None:
        return self._known[-1] if self._known else None

    def line(self, pace: float) -> Line | None:
        """Return the time by the middle one of them, None where one says something else."""
        offs = [(time_ms - 1000 * at * pace, at, time_ms) for at, time_ms in self._recent()]
        if len(offs) < FEWEST_FRAMES:
            return None
        middle, at, time_ms = median_low(offs)
        near_ms = NEAR_MS * max(1.0, pace)
        if any(abs(off - middle) > near_ms for off, _, _ in offs):
            return None
        return Line(at, time_ms, pace)

    def paces(self) -> tuple[float, float] | None:
        """Return between which paces the time went from the first of them to the last."""
        recent = self._recent()
        if len(recent) < FEWEST_FRAMES:
            return None
        (first, first_ms), (last, last_ms) = recent[0], recent[-1]
        return _pace(Answer(first, first, first_ms), Answer(last, last, last_ms))

    def _recent(self) -> list[tuple[float, int]]:
        now = time.monotonic()
        return [each for each in self._known if now - each[0] <= FRAMES_SECONDS]


class ExchangeClock:
    """The exchange's time, never ahead of it. Threads may share it.

    Three tell it: REST, asked once in a while; the frames of a stream, each with the time when it
    was sent; and this machine's monotonic clock, which carries on what was believed before. What
    two of them say is believed, and the third is outvoted and named by `odd`. Of REST and the
    frames the earlier counts, where they agree and where each says something else: late is better
    than wrong. Frames
    have a say only where the newest of them, three at the least, say the same. Until they have
    agreed with anybody, what was believed is only what REST said: then this machine's own clock
    has the third vote. Where they have none later, the time that has passed by that clock has one:
    it shows a sleep.

    As answers and frames were on their way, and as a machine may sleep, the result can only be
    late: nothing is taken as closed before the exchange closed it. An exchange may run at another
    pace than this machine, as the sandbox does: three answers in a row show it, unless frames come
    at this machine's pace and at no such one.
    """

    def __init__(self, ask_ms: Callable[[], int], name: str = "the exchange", step_ms: int = 1):
        """`ask_ms` asks the exchange; it may raise. The time that it tells goes in `step_ms`.

        Of what lies between two steps REST tells the first: so much later than frames may it be.
        """
        self.ask_ms = ask_ms
        self._step_ms = step_ms - 1  # by which REST may be late, its way aside
        self.odd: str | None = None  # who is not believed now, and how far it is off
        self._name = name
        self._lock = threading.Lock()
        self._asking = threading.Lock()
        self._belief: Line | None = None
        self._ahead_seconds = 0.0  # by which time.time() was ahead of the monotonic clock then
        self._latest: Line | None = None  # no frame that was sent by now says more than this
        self._answers: deque[Answer] = deque(maxlen=ANSWERS_KEPT)
        self._frames = Frames()
        self._confirmed = False  # frames have agreed with REST
        self._pace = self._most = 1.0  # how fast its time goes, at least and at most
        self._unsettled = False
        self._asked_at = self._due_at = float("-inf")
        self._all_late_since: float | None = None
        self._furthest: Line | None = None  # of the frames ahead, since REST was asked

    def now_ms(self) -> int:
        """Return the exchange's time, asking for it where that is due.

        Raises what the exchange says where it can't be asked.
        """
        if self.is_due():
            self.settle()
        assert self._belief is not None  # it was asked, or that raised
        return int(self._belief.at(time.monotonic()))

    def believed_ms(self) -> int | None:
        """Return the exchange's time without asking it, None before its first answer."""
        belief = self._belief
        return None if belief is None else int(belief.at(time.monotonic()))

    @property
    def pace(self) -> float:
        """Return how many ms of its time go by, at least, in one of ours: 1 but for a sandbox."""
        return self._pace

    @property
    def apart_ms(self) -> int:
        """Return how far two that know the exchange's time may be apart."""
        return int(self._near_ms)

    def is_due(self) -> bool:
        """Tell whether the exchange should be asked for its time."""
        return time.monotonic() >= self._due_at

    def ask(self) -> None:
        """Ask the exchange for its time; who comes meanwhile waits for the same answer."""
        came = time.monotonic()
        with self._asking:
            if self._asked_at > came:
                return
            sent = time.monotonic()
            try:
                time_ms = self.ask_ms()
            except Exception:
                with self._lock:
                    self._go_without(sent)
                raise
            self._asked_at = time.monotonic()
            with self._lock:
                self._take(Answer(sent, self._asked_at, time_ms, self._frames.newest))

    def settle(self) -> None:
        """Ask the exchange at once, and again as long as it isn't clear whom to believe."""
        if self._answers:  # two that come at once tell no pace
            time.sleep(max(0.0, self._asked_at + SHORTEST_SPAN_SECONDS - time.monotonic()))
        self.ask()
        for _ in range(ANSWERS_KEPT - 1):
            if not self._unsettled:
                return
            time.sleep(SHORTEST_SPAN_SECONDS)
            self.ask()

    def forget(self) -> None:
        """Ask the exchange again next time."""
        self._due_at = float("-inf")

    def note_frame(self, time_ms: int) -> None:
        """Take the time at which the exchange sent a frame that comes now."""
        now, belief = time.monotonic(), self._belief
        if belief is None:
            return
        ahead_ms = time_ms - belief.at(now)
        if -self._near_ms <= ahead_ms <= 0:
            self._all_late_since = None
            if self._frames.follow_at_once(now):
                return
        with self._lock:
            self._frames.add(now, time_ms)
            if not self._confirmed and (streamed := self._frames.line(self._pace)):
                self._confirmed = self._are_near(streamed, belief)
            if ahead_ms > 0:
                self._note_ahead(now, time_ms, self._latest or belief)
            elif ahead_ms < -self._near_ms:
                self._note_late(now)

    def _note_ahead(self, now: float, time_ms: int, latest: Line) -> None:
        self._all_late_since = None
        if time_ms <= latest.at(now):
            self._belief = Line(now, time_ms, self._pace)
        elif time_ms <= latest.at(now) + self._near_ms:
            self._ask_within(INEXACT_SECONDS)
        else:
            line = Line(now, time_ms, self._pace)
            if self._furthest is None or line.ahead_of(self._furthest) > 0:
                self._furthest = line
            if not self.odd or self._contradicts(REST):
                self._ask_within(UNSETTLED_SECONDS)

    def _contradicts(self, who: str) -> bool:
        """Tell whether the frames say something else than is believed since `who` was outvoted."""
        streamed, belief = self._frames.line(self._pace), self._belief
        if streamed is None or belief is None or not (self.odd or "").startswith(who):
            return False
        return not self._are_near(streamed, belief)

    def _note_late(self, now: float) -> None:
        self._all_late_since = self._all_late_since or now
        if now - self._all_late_since > LATE_SECONDS and not self.odd:
            self._ask_within(UNSETTLED_SECONDS)

    def _ask_within(self, seconds: float) -> None:
        self._due_at = min(self._due_at, time.monotonic() + seconds)

    # -- who is right

    def _take(self, answer: Answer) -> None:
        self._answers.append(answer)
        is_settled = self._learn_pace()
        self._weigh(answer, self._voters(answer), is_settled)
        if len(self._answers) == 2 and not _fits(self._pace_of(*self._answers), 1.0):
            self._unsettle()  # its time goes at another pace, or somebody's has leapt

    def _weigh(self, answer: Answer, voters: dict[str, Line], is_settled: bool) -> None:
        said, streamed = voters[REST], voters.get(STREAM)
        earliest = streamed if streamed and streamed.ahead_of(said) < 0 else said
        for one, other in combinations(voters, 2):  # in the order of their weight
            if self._are_near(voters[one], voters[other]):
                line = voters[one] if (one, other) != (REST, STREAM) else earliest
                self._believe(line, answer)
                self._confirmed = self._confirmed or STREAM in (one, other)
                self._judge(voters, line)
                return
        if self._belief is None or is_settled:
            self._believe(earliest, answer)
            self._judge(voters, earliest)
            return
        if said.ahead_of(self._belief) < 0:
            self._believe(said, answer)
        self._unsettle()

    def _unsettle(self) -> None:
        self._unsettled = True
        self._due_at = self._asked_at + UNSETTLED_SECONDS

    def _go_without(self, asked_at: float) -> None:
        """Where REST can't be asked, believe the frames if this machine's own clock confirms them.

        So a machine that slept while REST is away goes on.
        """
        streamed, belief = self._frames.line(self._pace), self._belief
        if (
            streamed
            and belief
            and not self._are_near(streamed, belief)
            and self._is_by_machine(streamed)
        ):
            self._believe(streamed, Answer(asked_at, asked_at, int(streamed.at(asked_at))))

    def _is_by_machine(self, line: Line) -> bool:
        return self._are_near(line, Line(time.monotonic(), 1000 * time.time(), self._pace))

    def _voters(self, answer: Answer) -> dict[str, Line]:
        voters = {REST: Line(answer.received, answer.time_ms, self._pace)}
        if streamed := self._frames.line(self._pace):
            voters[STREAM] = streamed
            if not self._confirmed:
                voters[MACHINE] = Line(time.monotonic(), 1000 * time.time(), self._pace)
                return voters
        if self._belief:
            voters[BEFORE] = self._belief
            if self._confirmed and not streamed:
                slept_ms = 1000 * (_wall_ahead_seconds() - self._ahead_seconds) * self._pace
                voters[WALL] = self._belief.later(slept_ms)
        return voters

    @property
    def _scale(self) -> float:
        return max(1.0, self._pace)

    @property
    def _near_ms(self) -> float:
        """Return how far apart two may be that say the same."""
        return NEAR_MS * self._scale + self._step_ms

    def _are_near(self, one: Line, other: Line) -> bool:
        return abs(one.ahead_of(other)) <= self._near_ms

    def _believe(self, line: Line, answer: Answer) -> None:
        way_ms = min(1000 * (answer.received - answer.sent), NEAR_MS)
        latest_ms = (way_ms + SLACK_MS) * self._scale + self._step_ms
        latest, before = line.later(latest_ms), self._belief
        latest = latest._replace(pace=self._most)
        if before and not self._are_near(line, before):
            moved_ms = line.ahead_of(before)
            # Forward: this machine slept, or the exchange's time goes at another pace.
            level = logging.INFO if moved_ms > 0 else logging.WARNING
            logger.log(level, "clock.moved exchange=%s ms=%.0f", self._name, moved_ms)
        elif before and line.ahead_of(before) < 0 <= latest.ahead_of(before):
            line = before._replace(pace=self._pace)  # frames told it more exactly
        self._belief, self._latest = line, latest
        self._ahead_seconds = _wall_ahead_seconds()

    def _judge(self, voters: dict[str, Line], believed: Line) -> None:
        """Name who is not believed: REST, the stream, or single frames of it."""
        offs = {name: voters[name].ahead_of(believed) for name in (REST, STREAM) if name in voters}
        if self._furthest:
            offs[FRAME], self._furthest = self._furthest.ahead_of(believed), None
        odd = next((name for name in offs if abs(offs[name]) > self._near_ms), None)
        self._all_late_since, self._unsettled = None, False
        peace = PEACE_SECONDS if self._pace == self._most == 1.0 else INEXACT_SECONDS
        self._due_at = self._asked_at + (OUTVOTED_SECONDS if odd else peace)
        if odd is None:
            self.odd = None
            return
        if not (self.odd or "").startswith(odd):
            logger.warning("clock.outvoted exchange=%s who=%r ms=%.0f", self._name, odd, offs[odd])
        way = "ahead" if offs[odd] > 0 else "behind"
        self.odd = f"{odd} is {abs(offs[odd]) / 1000:.0f} s {way}"

    def _pace_of(self, one: Answer, other: Answer) -> tuple[float, float]:
        return _pace(one, other, ROUGH_MS + self._step_ms)

    def _learn_pace(self) -> bool:
        """Learn from the last three answers; return whether they fit together at some pace."""
        if len(self._answers) < 3:
            return False
        first, second, third = self._answers
        paces = [self._pace_of(first, second), self._pace_of(second, third)]
        if all(_fits(each, 1.0) for each in paces):
            self._pace = self._most = 1.0
            return True
        together = max(least for least, _ in paces) <= min(most for _, most in paces)
        unusual = all(least > UNUSUAL_PACE or most < 1 / UNUSUAL_PACE for least, most in paces)
        if not together or not unusual:
            return False
        least, most = self._pace_of(first, third)
        streamed = self._frames.paces()
        if streamed and _fits(streamed, 1.0) and (streamed[1] < least or most < streamed[0]):
            return False  # REST's answers leap, and by chance by as much each time
        frames_between = _pace_of_frames(first, third)
        if frames_between and (frames_between[1] < least or most < frames_between[0]):
            return False  # one of them leapt
        self._pace, self._most = max(0.0, least), most
        return True


def time_of(clock: ExchangeClock) -> int:
    """Return the exchange's time, never ahead of it; it is asked only where it never was."""
    believed_ms = clock.believed_ms()
    return clock.now_ms() if believed_ms is None else believed_ms


def _wall_ahead_seconds() -> float:
    return time.time() - time.monotonic()


def _fits(paces: tuple[float, float], pace: float) -> bool:
    return paces[0] <= pace <= paces[1]


def _pace(one: Answer, other: Answer, rough_ms: int = ROUGH_MS) -> tuple[float, float]:
    """Return between which paces the exchange's time went from one answer to the other."""
    longest = 1000 * max(other.received - one.sent, SHORTEST_SPAN_SECONDS)
    shortest = 1000 * max(other.sent - one.received, SHORTEST_SPAN_SECONDS)
    passed_ms = other.time_ms - one.time_ms
    return (passed_ms - rough_ms) / longest, (passed_ms + rough_ms) / shortest


def _pace_of_frames(one: Answer, other: Answer) -> tuple[float, float] | None:
    """Return between which paces it went by the frames that had come by these answers."""
    if one.frame is None or other.frame is None or one.frame == other.frame:
        return None
    passed, passed_ms = other.frame[0] - one.frame[0], other.frame[1] - one.frame[1]
    shortest = passed - FRAMES_LATE_SECONDS
    most = passed_ms / (1000 * shortest) if shortest > 0 else float("inf")
    return passed_ms / (1000 * (passed + FRAMES_LATE_SECONDS)), most
