"""What one connection is subscribed to: asked for in messages, and what is refused singled out.

An exchange may do nothing of a whole message because of one name in it, and say so by an error, by
an acknowledgement that lacks names, or not at all. So what was refused is asked for again in halves
until the refused name is alone, with nothing else under way: an error need not say which message it
means. Everything else goes on meanwhile.
"""

from collections import deque
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from math import inf
from typing import NamedTuple

from exchanges.errors import Unreachable
from exchanges.stream.base import StreamSession, Topic
from exchanges.stream.events import Refused

ACK_SECONDS = 5.0
LEAST_ACK_SECONDS = 0.5  # however fast the exchange has answered before
SLOWER = 3  # so many times longer than any answer before may the next one take
PAUSE_SECONDS = 1.0  # after a refusal that will pass
SILENCES = 4  # messages without an answer, where none ever came: nobody is there
REFUSALS = 2  # of a topic asked for by itself: then it is given up


class Batch(NamedTuple):
    """Topics that are asked for together.

    `has_other_half` where the next doubtful batch is the other half of what was refused.
    """

    topics: list[Topic]
    has_other_half: bool = False


class Subscriptions:
    """Decides what a connection asks for next; it has no socket, and is told the time.

    `given_up` are the topics that the exchange refuses, with what it said. `refused` are those that
    are known to be refused from before: they are asked for last, and each by itself.
    """

    def __init__(
        self,
        session: StreamSession,
        topics: Iterable[Topic],
        refused: AbstractSet[Topic] = frozenset(),
        name_in: Callable[[Topic], str] = lambda topic: "",
        ack_seconds: float = ACK_SECONDS,
        most_in_a_second: float = inf,
    ):
        """`name_in` returns the market that a topic is about.

        `most_in_a_second` may the exchange count, by its own clock: a message counts from when it
        is sent to a second after its answer, whatever holds it up on its way.
        """
        self.topics = set(topics)
        self.given_up: dict[Topic, str] = {}
        self._session = session
        self._name_in = name_in
        self._ack_seconds = ack_seconds
        self._most_in_a_second = most_in_a_second
        self._answered_at: deque[float] = deque()  # within the last second
        self._orders: deque[str] = deque()  # messages that go out before all others
        # What is to be asked for together, and messages that end something, in their order.
        self._fresh: deque[list[Topic] | str] = deque()
        self._fresh += session.batches(sorted(self.topics - refused))
        self._doubtful: list[Batch] = []  # of what was refused together, the next one last
        # Each to be asked for by itself, and how often it was refused so.
        self._suspects = dict.fromkeys(sorted(self.topics & refused), REFUSALS - 1)
        self._sent: deque[float] = deque()  # when what is unanswered went out
        self._asked: list[Batch] = []  # what it asked for
        self._alone = False  # what is unanswered went out with nothing else under way
        self._resumes_at = 0.0
        self._answered = 0
        self._refusal: Refused | None = None
        self._slowest = 0.0  # seconds until an answer, where each message had one
        self._latest = 0.0  # the same since the last judgement
        self._silences = 0

    # -- What is wanted

    def add(self, topics: Iterable[Topic]) -> None:
        """Ask for more topics."""
        new = [topic for topic in topics if topic not in self.topics]
        self.topics.update(new)
        self._fresh += self._session.batches(new)

    def remove(self, topics: Iterable[Topic]) -> None:
        """End topics; what was never asked for costs no message."""
        gone = {topic for topic in topics if topic in self.topics}
        self.topics -= gone
        for topic in gone:
            self.given_up.pop(topic, None)
        self._leave_out(gone)
        self._fresh += self._session.unsubscribe(sorted(gone & self._session.wanted))

    def again(self, topics: Iterable[Topic]) -> None:
        """End topics and ask for them anew: they have fallen silent."""
        topics = sorted(self.topics.intersection(topics) & self._session.confirmed)
        self._fresh += self._session.unsubscribe(topics)
        self._fresh += self._session.batches(topics)

    def retry(self) -> None:
        """Ask once more for what was given up, last and each by itself."""
        self._suspects |= dict.fromkeys(sorted(self.given_up), REFUSALS - 1)
        self.given_up.clear()

    def question(self) -> None:
        """Ask the exchange what it believes to be subscribed."""
        self._orders.append(self._session.question())

    def missing(self) -> set[Topic]:
        """Return the topics that are neither confirmed nor given up."""
        return self.topics - self._session.confirmed - self.given_up.keys()

    @property
    def busy(self) -> bool:
        """Tell whether something is to be asked for, or to be answered."""
        return bool(self._orders or self._fresh or self._doubtful or self._suspects or self._sent)

    @property
    def searching(self) -> bool:
        """Tell whether something was refused, and what is under way is asked for by itself."""
        return self._alone or bool(self._doubtful)

    # -- Messages

    def has_message(self, now: float) -> bool:
        """Tell whether one may be sent now."""
        lately = sum(now - at < 1.0 for at in tuple(self._answered_at))
        if len(self._sent) + lately >= self._most_in_a_second:
            return False
        if self._orders:
            return True
        if now < self._resumes_at or (self._sent and self.searching):
            return False
        return bool(self._fresh or (not self._sent and (self._doubtful or self._suspects)))

    def next_message(self, now: float) -> str:
        """Return the message to be sent now; there is one if `has_message`."""
        self._sent.append(now)
        if self._orders:
            return self._orders.popleft()
        self._alone = bool(self._doubtful) or not self._fresh
        first_of_all = self._fresh.popleft() if self._fresh else []
        if isinstance(first_of_all, str):
            return first_of_all
        batch = Batch(first_of_all) if first_of_all else self._next_batch()
        self._asked.append(batch)
        first, *others = self._session.subscribe(batch.topics)
        self._orders += others
        return first

    def _next_batch(self) -> Batch:
        if self._doubtful:
            return self._doubtful.pop()
        return Batch([min(self._suspects, key=self._suspects.__getitem__)])

    # -- Answers

    def check(self, now: float, refusals: Iterable[Refused] = ()) -> None:
        """Learn what the session has read up to now: `refusals` among it, or nothing in time.

        Raises Unreachable where the exchange answers nothing at all.
        """
        for refusal in refusals:
            self._note_refusal(refusal, now)
        if self._note_answers(now):
            if not self._sent and not self._orders:
                self._judge()
            if not self.busy:  # what was confirmed once may not be any more
                self._fresh += self._session.batches(sorted(self.missing()))
        elif self._sent and now - self._sent[-1] > self._timeout():
            self._answered_at.extend(now for _ in self._sent)  # it may take them yet
            self._note_silence()
            self._judge()

    def _note_refusal(self, refusal: Refused, now: float) -> None:
        if refusal.passing:
            self._resumes_at = now + PAUSE_SECONDS
        if not (self._refusal and self._refusal.passing):
            self._refusal = refusal

    def _note_answers(self, now: float) -> bool:
        new, self._answered = self._session.answered - self._answered, self._session.answered
        while self._answered_at and now - self._answered_at[0] >= 1.0:
            self._answered_at.popleft()
        for _ in range(min(new, len(self._sent))):
            self._latest = max(self._latest, now - self._sent.popleft())
            self._answered_at.append(now)
        if new and not self._sent:  # else one in between may never be answered
            self._slowest = max(self._slowest, self._latest)
        return new > 0

    def _timeout(self) -> float:
        slowest = self._slowest or self._latest
        if not slowest:
            return self._ack_seconds
        return min(self._ack_seconds, max(LEAST_ACK_SECONDS, SLOWER * slowest))

    def _note_silence(self) -> None:
        self._sent.clear()
        self._silences += bool(self._asked)
        if not self._answered and self._silences >= SILENCES:
            raise Unreachable(f"{len(self.missing())} subscriptions were never confirmed")
        self._refusal = self._refusal or Refused("no answer")

    def _judge(self) -> None:
        """Look what of the messages that were answered, or not in time, was done."""
        asked, self._asked, self._alone, self._latest = self._asked, [], False, 0.0
        refusal, self._refusal = self._refusal or Refused("left out of the answer"), None
        all_missing = self.missing()
        for batch in asked:
            missing = [topic for topic in batch.topics if topic in all_missing]
            if not missing and batch.has_other_half and self._doubtful:
                self._divide(self._doubtful.pop().topics, refusal.reason)  # so it is there
            elif refusal.passing or 0 < len(missing) < len(batch.topics):
                self._doubt(missing)
            elif missing:
                self._divide(missing, refusal.reason)
        self._leave_out(self._session.confirmed)

    def _doubt(self, topics: list[Topic]) -> None:
        """Ask for these again as they are: of them alone nothing is known yet."""
        if topics and topics[0] not in self._suspects:
            self._doubtful.append(Batch(topics))

    def _divide(self, topics: list[Topic], reason: str) -> None:
        """Ask for the halves of what holds a refused name, or blame the only one there is."""
        if len(topics) == 1:
            self._blame(topics[0], reason)
            return
        # Where nothing was answered yet one topic shows whether anybody is there.
        middle = (len(topics) + 1) // 2 if self._answered else 1
        self._doubtful += [Batch(topics[middle:]), Batch(topics[:middle], has_other_half=True)]

    def _blame(self, topic: Topic, reason: str) -> None:
        refused = self._suspects.pop(topic, 0) + 1
        if refused < REFUSALS:
            self._suspects[topic] = refused
            self._isolate(self._name_in(topic))
        else:
            self.given_up[topic] = reason
            self._session.forget({topic})

    def _isolate(self, name: str) -> None:
        """Ask for whatever is of a refused market by itself: other messages would fail with it."""
        batches = [batch for batch in self._fresh if isinstance(batch, list)]
        batches += [batch.topics for batch in self._doubtful]
        waiting = {topic for batch in batches for topic in batch}
        found = {topic for topic in waiting if name and self._name_in(topic) == name}
        self._leave_out(found)
        self._suspects = dict.fromkeys(sorted(found), 0) | self._suspects

    def _leave_out(self, topics: AbstractSet[Topic]) -> None:
        """Ask for these no more, wherever they wait to be asked for."""

        def rest(batch: list[Topic] | str) -> list[Topic] | str:
            if isinstance(batch, str):
                return batch
            return [topic for topic in batch if topic not in topics]

        self._fresh = deque(filter(None, map(rest, self._fresh)))
        doubtful, below_is_whole = [], False
        for batch in self._doubtful:
            left = [topic for topic in batch.topics if topic not in topics]
            is_whole = len(left) == len(batch.topics)
            if left:  # a refused name that is out of one half need not be in the other
                doubtful.append(Batch(left, batch.has_other_half and is_whole and below_is_whole))
            below_is_whole = is_whole
        self._doubtful = doubtful
        self._suspects = {t: n for t, n in self._suspects.items() if t not in topics}
