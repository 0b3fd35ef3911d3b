"""The admin's two places where somebody tells a password: both are limited, and failures logged."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from django.contrib.admin import AdminSite
from django.contrib.admin.forms import AdminAuthenticationForm, AdminPasswordChangeForm
from django.contrib.auth.views import PasswordChangeView
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from livermore.observing.logs import word
from livermore.web import client_address
from livermore.web.limits.logins import Attempts

logger = logging.getLogger(__name__)


class LoginForm(AdminAuthenticationForm):
    """Asks for a user and a password of the staff."""

    def clean(self):
        name = self.cleaned_data.get("username")
        if name is None or not self.cleaned_data.get("password"):
            return super().clean()
        with _attempt(self.request, name):
            return super().clean()


class PasswordForm(AdminPasswordChangeForm):
    """Asks for the old password too: who found an open browser could try as often."""

    def __init__(self, *args, request: HttpRequest, **kwargs):
        super().__init__(*args, **kwargs)
        self._request = request

    def clean_old_password(self):
        with _attempt(self._request, self.user.get_username()):
            return super().clean_old_password()


class PasswordChange(PasswordChangeView):
    form_class = PasswordForm

    def get_form_kwargs(self):
        return super().get_form_kwargs() | {"request": self.request}


class Site(AdminSite):
    """The admin, whose answers to too many attempts say when the next one may be."""

    login_form = LoginForm

    def login(self, request: HttpRequest, extra_context=None) -> HttpResponse:
        return _with_wait(request, super().login(request, extra_context))

    def password_change(self, request: HttpRequest, extra_context=None) -> HttpResponse:
        view = PasswordChange.as_view(
            success_url=reverse("admin:password_change_done", current_app=self.name),
            extra_context={**self.each_context(request), **(extra_context or {})},
        )
        request.current_app = self.name
        return _with_wait(request, view(request))


@contextmanager
def _attempt(request: HttpRequest, user: str) -> Iterator[None]:
    """Count and log what is tried inside. Raises ValidationError where it may not be tried."""
    address = client_address.address(request)
    attempts = Attempts(user, address)
    if wait := attempts.enter():
        request.retry_after_seconds = wait
        logger.warning(
            "login.refused user=%s address=%s retry_after_seconds=%d", word(user), address, wait
        )
        raise ValidationError(f"Too many attempts. Try again in {_plainly(wait)}.")
    try:
        yield
    except ValidationError:
        logger.warning("login.failed user=%s address=%s", word(user), address)
        raise
    except BaseException:
        attempts.give_back()
        raise
    attempts.succeeded()
    logger.info("login.succeeded user=%s address=%s", word(user), address)


def _plainly(seconds: int) -> str:
    minutes = -(-seconds // 60)
    return f"{seconds} s" if seconds < 60 else f"{minutes} minute{'s' if minutes > 1 else ''}"


def _with_wait(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    if wait := getattr(request, "retry_after_seconds", 0):
        response.status_code = 429
        response.headers["Retry-After"] = str(wait)
    return response
