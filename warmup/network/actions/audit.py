"""Who did what to an exchange, when and why: rows of the admin's log, its history there."""

from collections.abc import Iterable
from functools import reduce
from operator import or_

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import AbstractBaseUser
from django.contrib.contenttypes.models import ContentType
from django.db.models import Q

from exchanges.errors import clip
from exchanges.models import Exchange

BEGINS, ENDS = ("Connect", "Take over"), ("Stop",)  # what asks for another `wanted`


def record(exchange: Exchange, user: AbstractBaseUser, what: str, why: str = "") -> None:
    """Write one row; it is kept whole, however long."""
    text = f"{what} ({why})" if why else what
    LogEntry.objects.log_actions(user.pk, [exchange], CHANGE, text)


def last_action(exchange_id: int, verbs: Iterable[str] = ()) -> tuple[str, int, str] | None:
    """Return who did something to an exchange last, when (UTC epoch ms), and what, on one line.

    What was changed in the admin counts too. With `verbs` only what begins with one of them does.
    """
    content_type = ContentType.objects.get_for_model(Exchange)
    entries = LogEntry.objects.filter(content_type=content_type, object_id=str(exchange_id))
    begins = (Q(change_message__startswith=verb) for verb in verbs)
    entries = entries.filter(reduce(or_, begins, Q()))
    entry = entries.select_related("user").order_by("-action_time", "-pk").first()
    if entry is None:
        return None
    at_ms = int(entry.action_time.timestamp() * 1000)
    return entry.user.get_username(), at_ms, clip(entry.get_change_message())
