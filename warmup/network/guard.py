"""What stands before every address of the Network page: login, permission, method, the row."""

import logging
from collections.abc import Callable
from functools import wraps
from urllib.parse import quote

from django.contrib import admin
from django.contrib.auth.models import AbstractBaseUser
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods
from redis.exceptions import RedisError, ResponseError

from exchanges.errors import clip
from exchanges.models import Exchange
from exchanges.redis.unreadable import Unreadable
from warmup.network.permission import may_operate, may_view
from warmup.network.responses import notice, wants_json

logger = logging.getLogger(__name__)

View = Callable[..., HttpResponse]


def view_required(view: View) -> View:
    """Require the permission to view, and GET."""
    return _guarded(view, may_view, "GET", "HEAD")


def operate_required(view: View) -> View:
    """Require the permission to operate, and POST."""
    return _guarded(view, may_operate, "POST")


def operate_form_required(view: View) -> View:
    """Require the permission to operate: a form is read by GET and sent by POST."""
    return _guarded(view, may_operate, "GET", "HEAD", "POST")


def _guarded(view: View, may: Callable[[AbstractBaseUser], bool], *methods: str) -> View:
    """Return the view behind the admin's login; it is given the exchange's row for its id."""

    def inside(request: HttpRequest, exchange_id: int | None = None, **kwargs) -> HttpResponse:
        if not may(request.user):
            return notice(request, "You may not do this: ask for the permission in the admin.", 403)
        if exchange_id is None:
            return view(request, **kwargs)
        exchange = Exchange.objects.filter(pk=exchange_id).first()
        if exchange is None:
            return notice(
                request, f"There is no exchange {clip(str(exchange_id))} (any more).", 404
            )
        return view(request, exchange, **kwargs)

    behind_login = admin.site.admin_view(inside)

    @wraps(view)
    def outside(request: HttpRequest, **kwargs) -> HttpResponse:
        if not admin.site.has_permission(request):
            return _login_first(request)
        try:
            return behind_login(request, **kwargs)
        except Unreadable as error:
            return notice(request, f"Redis refused a command, WRONGTYPE: {error}", 503)
        except ResponseError as error:  # it does answer: a key that somebody else wrote, mostly
            logger.warning("network.redis_refused path=%s error=%s", _path(request), error)
            return notice(request, f"Redis refused a command: {clip(str(error))}", 503)
        except RedisError as error:
            logger.warning("network.no_redis path=%s error=%s", _path(request), error)
            text = f"Redis does not answer: {clip(str(error))}. Start it, then try again."
            return notice(request, text, 503)

    return require_http_methods(methods)(outside)


def _path(request: HttpRequest) -> str:
    """Return the path as one word of a line: whoever asks would else write fields of ours."""
    return clip(quote(request.path))


def _login_first(request: HttpRequest) -> HttpResponse:
    if wants_json(request):
        if request.user.is_authenticated:
            return notice(request, "This is for the admin's staff.", 403)
        return notice(request, "Log in again: the session has ended.", 401)
    # What was sent is not sent again after the login: back to the page then.
    back = request.get_full_path() if request.method == "GET" else reverse("network:page")
    return redirect_to_login(back, reverse("admin:login"))
