"""Who may view the Network page, and who may operate there."""

from dataclasses import dataclass
from importlib import import_module
from types import SimpleNamespace

from django.conf import settings
from django.contrib.auth import get_user
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

NOT_LOGGED_IN, NO_PERMISSION = 4401, 4403  # as a WebSocket's close codes


class NotAdmitted(Exception):
    """Somebody may not view the page (any more): `code` says why."""

    def __init__(self, code: int):
        super().__init__(f"not admitted: {code}")
        self.code = code


@dataclass(frozen=True, slots=True)
class PageUser:
    """A user who may view the page, and perhaps operate."""

    user: AbstractBaseUser
    may_operate: bool


def may_operate(user: AbstractBaseUser | AnonymousUser) -> bool:
    """Tell whether a user may do what the page's buttons do."""
    return user.is_active and user.is_staff and user.has_perm("exchanges.operate_exchange")


def may_view(user: AbstractBaseUser | AnonymousUser) -> bool:
    """Tell whether a user may see the page."""
    staff = user.is_active and user.is_staff
    return staff and (user.has_perm("exchanges.view_exchange") or may_operate(user))


def admit(session_key: str | None) -> PageUser:
    """Return who has this session now, all of it read from the database. Raises NotAdmitted."""
    session = import_module(settings.SESSION_ENGINE).SessionStore(session_key)
    user = get_user(SimpleNamespace(session=session))
    if not user.is_authenticated:
        raise NotAdmitted(NOT_LOGGED_IN)
    if not may_view(user):
        raise NotAdmitted(NO_PERMISSION)
    return PageUser(user, may_operate(user))
