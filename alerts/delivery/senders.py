"""A thread for each channel that has something to send: a slow one holds up no other."""

import contextlib
import logging
import os
import threading
import uuid
from collections.abc import Iterable, Iterator
from datetime import timedelta

from django.db import Error as DatabaseError
from django.db import connection
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from alerts.delivery.backoff import delay_after
from alerts.delivery.sending import Outcome, send
from alerts.models import AlertChannel, Delivery

logger = logging.getLogger(__name__)

STEP_SECONDS = 1.0
PAUSE_SECONDS = 5.0  # after a message that was not taken
END_SECONDS = 3.0  # for what is being sent; it is told again where that did not do
ALIVE_SECONDS = 5.0  # so often who sends one message for long says that it does
SURELY_OVER = timedelta(seconds=20)  # for so long nothing was said: who sent it is gone
MOST_TRIES = 30  # two days, by what `delay_after` waits
LATE = timedelta(minutes=10)
AGAIN = "(this may have been told before) "


class Senders:
    """Begins a thread for each channel with something to send; they end when they are stopped."""

    def __init__(self):
        self._threads: dict[int, ChannelSender] = {}

    def step(self) -> None:
        """Begin what is missing. Raises DatabaseError."""
        free_what_was_left(each.in_hand for each in self._threads.values() if each.in_hand)
        due = Delivery.objects.filter(state=Delivery.State.WAITING, channel__is_active=True)
        for number in set(due.order_by().values_list("channel_id", flat=True)):
            sender = self._threads.get(number)
            if sender is None or not sender.is_alive():
                self._threads[number] = sender = ChannelSender(number)
                sender.start()
            sender.wake()

    def stop(self) -> None:
        """Let them end after what they send now."""
        ending, self._threads = list(self._threads.values()), {}
        for sender in ending:
            sender.stop()
        for sender in ending:
            sender.join(END_SECONDS)

    def why_not_well(self) -> str:
        """Return which channel gets nothing out, "" where all do."""
        late = Delivery.objects.filter(
            state=Delivery.State.WAITING, created_at__lt=timezone.now() - LATE, tries__gt=0
        ).select_related("channel")
        found = late.first()
        return f"the channel {found.channel} takes nothing" if found else ""


class ChannelSender(threading.Thread):
    """Sends what is due to one channel, one at a time, in order but for what is tried again."""

    def __init__(self, channel_id: int):
        super().__init__(name=f"alerts-{channel_id}", daemon=True)
        self._channel_id = channel_id
        self.sender = f"{os.getpid()}-{uuid.uuid4().hex}"
        self.in_hand = 0  # the delivery that is sent, until it is noted what came of it
        self._stopping = threading.Event()
        self._due = threading.Event()

    def wake(self) -> None:
        self._due.set()

    def stop(self) -> None:
        self._stopping.set()
        self._due.set()

    def run(self) -> None:
        try:
            while not self._stopping.is_set():
                try:
                    while not self._stopping.is_set() and self.step():
                        pass
                except DatabaseError as error:
                    logger.warning("alerts.not_sent channel=%d error=%s", self._channel_id, error)
                connection.close()
                self._due.wait(STEP_SECONDS)
                self._due.clear()
        finally:
            connection.close()

    def step(self) -> bool:
        """Send the first that is due; tell whether there was one."""
        channel = AlertChannel.objects.filter(pk=self._channel_id, is_active=True).first()
        delivery = self._claim() if channel else None
        if channel is None or delivery is None:
            return False
        self.in_hand = delivery.pk
        try:
            with alive(delivery):
                outcome = send(channel, delivery)
                self._note(delivery, outcome)
        finally:
            self.in_hand = 0
        if not outcome.is_sent:  # the next one may fare better, and the receiver gets a rest
            self._stopping.wait(PAUSE_SECONDS)
        return True

    def _note(self, delivery: Delivery, outcome: Outcome) -> None:
        """Write what came of a try, when the database is back where it is away.

        What is not noted would be sent again. Raises DatabaseError where it is to end meanwhile.
        """
        while True:
            try:
                return note(delivery, outcome)
            except DatabaseError as error:
                logger.warning("alerts.not_noted channel=%d error=%s", self._channel_id, error)
                connection.close()
                if self._stopping.wait(STEP_SECONDS):
                    raise

    def _claim(self) -> Delivery | None:
        """Return the next to send, as ours from now on, None where none is due."""
        now = timezone.now()
        waiting = Delivery.objects.filter(
            channel_id=self._channel_id, state=Delivery.State.WAITING, next_try_at__lte=now
        )
        beginning = Delivery.objects.filter(
            alert=OuterRef("alert"),
            channel=OuterRef("channel"),
            is_end=False,
            state__in=(Delivery.State.WAITING, Delivery.State.SENDING),
        )
        can_go = Q(is_end=False) | ~Exists(beginning)  # nothing is over before it has begun
        first = waiting.filter(can_go).order_by("pk").first()
        if first is None:
            return None
        ours = waiting.filter(pk=first.pk).update(
            state=Delivery.State.SENDING, sender=self.sender, tries=F("tries") + 1, changed_at=now
        )
        return Delivery.objects.get(pk=first.pk) if ours else None


@contextlib.contextmanager
def alive(delivery: Delivery) -> Iterator[None]:
    """Say in the database, while the block lasts, that a message is still being sent."""
    over = threading.Event()

    def say() -> None:
        while not over.wait(ALIVE_SECONDS):
            with contextlib.suppress(DatabaseError):  # the next time, then
                ours = Delivery.objects.filter(pk=delivery.pk, sender=delivery.sender)
                ours.update(changed_at=timezone.now())
            connection.close()

    thread = threading.Thread(target=say, name="alerts-alive", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()


def note(delivery: Delivery, outcome: Outcome) -> None:
    """Write what came of a try."""
    now = timezone.now()
    values = {"changed_at": now, "fault": outcome.fault, "sender": ""}
    if outcome.is_sent:
        values["state"] = Delivery.State.DELIVERED
    elif delivery.tries >= MOST_TRIES:
        values["state"] = Delivery.State.FAILED
        logger.error("alerts.given_up channel=%s fault=%s", delivery.channel, outcome.fault)
    else:
        values |= {
            "state": Delivery.State.WAITING,
            "next_try_at": now + timedelta(seconds=delay_after(delivery.tries)),
        }
        if outcome.may_have_arrived:
            values["text"] = told_again(delivery.text)
        logger.warning("alerts.not_delivered channel=%s fault=%s", delivery.channel, outcome.fault)
    Delivery.objects.filter(pk=delivery.pk, sender=delivery.sender).update(**values)


def free_what_was_left(apart_from: Iterable[int] = ()) -> None:
    """Let be sent again what somebody was sending who is gone; it says that it may be known.

    Who sends the deliveries `apart_from` lives, and may wait until it can note what came of it.
    """
    left = Delivery.objects.filter(
        state=Delivery.State.SENDING, changed_at__lt=timezone.now() - SURELY_OVER
    ).exclude(pk__in=list(apart_from))
    for delivery in left:
        Delivery.objects.filter(pk=delivery.pk, sender=delivery.sender).update(
            state=Delivery.State.WAITING,
            text=told_again(delivery.text),
            sender="",
            changed_at=timezone.now(),
        )


def told_again(text: str) -> str:
    """Return a text that says that it may be known."""
    return text if text.startswith(AGAIN) else AGAIN + text
