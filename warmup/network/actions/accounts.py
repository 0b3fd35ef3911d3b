"""Exchange setup: a person's own accounts at an exchange, by the rules of the admin's form."""

from collections.abc import Callable
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django_redis import get_redis_connection

from exchanges.errors import LivermoreError
from exchanges.forms import OwnAccountForm
from exchanges.models import NAME_TAKEN, Exchange, UserExchange
from warmup.network.actions.exchange import Actions
from warmup.network.guard import operate_form_required, operate_required
from warmup.network.page.snapshot import read_accounts
from warmup.network.responses import Answer, notice

NONE_SUCH = "You have no such account at this exchange."


@operate_form_required
def setup(request: HttpRequest, exchange: Exchange) -> HttpResponse:
    """Show a person's own accounts at an exchange, and save the one of the form.

    `?account=` chooses one to change; without it the form makes a new one.
    """
    account = None
    if request.GET.get("account") and (account := _own(request, exchange)) is None:
        return notice(request, NONE_SUCH, 404)
    if request.method != "POST":
        form = OwnAccountForm(request.user, exchange, instance=account)
        return _answer(request, exchange, form)
    form = OwnAccountForm(request.user, exchange, request.POST, instance=account)
    text = _save(form, _actions(request, exchange)) if form.is_valid() else ""
    if not text:
        return _answer(request, exchange, form, 400, "Please correct what is marked.")
    # Of a new account too: empty, for another one, else the next save would overwrite the first.
    fresh = OwnAccountForm(request.user, exchange, instance=account)
    return _answer(request, exchange, fresh, text=text)


@operate_required
def make_default(request: HttpRequest, exchange: Exchange) -> HttpResponse:
    """Make a person's own account the default one; then the setup again, where that was open."""
    if (account := _own(request, exchange)) is None:
        return notice(request, NONE_SUCH, 404)
    text, status = _done(_actions(request, exchange).make_default, account)
    if "dialog" not in request.POST:
        return Answer(text, status).response(request)
    form = OwnAccountForm(request.user, exchange)
    return _answer(request, exchange, form, status, text)


@operate_form_required
def delete(request: HttpRequest, exchange: Exchange) -> HttpResponse:
    """Ask whether a person's own account shall be deleted, by GET, and delete it, by POST."""
    if (account := _own(request, exchange)) is None:
        return notice(request, NONE_SUCH, 404)
    why, status = account.why_kept("it is not deleted"), 200
    if request.method == "POST":
        text, status = _done(_actions(request, exchange).delete_account, account)
        if status == 200:
            return Answer(text).response(request)
        why = text
    context = {"exchange": exchange, "account": account, "why": why}
    fragment = "network/dialogs/delete_account.html"
    return Answer(why, status, fragment=fragment, context=context).response(request)


def _own(request: HttpRequest, exchange: Exchange) -> UserExchange | None:
    """Return the account of `?account=`, None unless it is this person's at this exchange."""
    number = request.GET.get("account", "")
    own = UserExchange.objects.filter(user=request.user, exchange=exchange)
    return next((each for each in own if str(each.pk) == number), None)


def _actions(request: HttpRequest, exchange: Exchange) -> Actions:
    why = request.POST.get("reason", "")
    return Actions(get_redis_connection("default"), exchange, request.user, why)


def _done(work: Callable[[UserExchange], str], account: UserExchange) -> tuple[str, int]:
    """Let an action work on an account; return what it says, or why it was refused."""
    try:
        return work(account), 200
    except UserExchange.DoesNotExist:
        return NONE_SUCH, 404
    except ValidationError as error:
        return " ".join(error.messages), 400
    except LivermoreError as error:
        return str(error), 400


def _save(form: OwnAccountForm, actions: Actions) -> str:
    """Save the account of a checked form; return the line on it, empty where it was refused."""
    try:
        return actions.save_account(form.instance)
    except IntegrityError:  # somebody was faster
        form.add_error("display_name", NAME_TAKEN)
    except ValidationError as error:
        form.add_error(None, error.messages)
    except LivermoreError as error:
        form.add_error(None, str(error))
    return ""


def _accounts(user: AbstractBaseUser, exchange: Exchange) -> list[dict[str, Any]]:
    """Return a person's accounts at an exchange, each with the name of what uses its key."""
    used = {row.account_id: str(row) for row in Exchange.objects.filter(account__user=user)}
    return [
        each | {"usedBy": used.get(each["id"], "")}
        for each in read_accounts(user)
        if each["exchangeId"] == exchange.pk
    ]


def _answer(
    request: HttpRequest,
    exchange: Exchange,
    form: OwnAccountForm,
    status: int = 200,
    text: str = "",
) -> HttpResponse:
    context = {
        "exchange": exchange,
        "accounts": _accounts(request.user, exchange),
        "form": form,
        "account": form.instance if form.instance.pk else None,
    }
    errors = form.errors.get_json_data() if status != 200 and form.is_bound else None
    lines = errors and {name: [each["message"] for each in found] for name, found in errors.items()}
    back = reverse("network:setup", args=[exchange.pk]) if text and status == 200 else ""
    answer = Answer(text, status, lines, "network/dialogs/setup.html", context, back)
    return answer.response(request)
