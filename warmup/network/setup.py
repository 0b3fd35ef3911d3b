"""Exchange setup: a person's own accounts at an exchange, by the rules of the admin's form."""

from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django_redis import get_redis_connection

from exchanges.errors import LivermoreError
from exchanges.forms import OwnAccountForm
from exchanges.models import NAME_TAKEN, Exchange, UserExchange
from warmup.network.actions import Actions
from warmup.network.answers import Answer, notice
from warmup.network.gate import fills_in
from warmup.network.snapshot import read_accounts


@fills_in
def setup(request: HttpRequest, exchange: Exchange) -> HttpResponse:
    """Show a person's own accounts at an exchange, and save the one of the form.

    `?account=` chooses one to change; without it the form makes a new one.
    """
    number, account = request.GET.get("account", ""), None
    if number:
        own = UserExchange.objects.filter(user=request.user, exchange=exchange)
        account = next((each for each in own if str(each.pk) == number), None)
        if account is None:
            return notice(request, "You have no such account at this exchange.", 404)
    if request.method != "POST":
        form = OwnAccountForm(request.user, exchange, instance=account)
        return _answer(request, exchange, form)
    form = OwnAccountForm(request.user, exchange, request.POST, instance=account)
    why = request.POST.get("reason", "")
    actions = Actions(get_redis_connection("default"), exchange, request.user, why)
    text = _save(form, actions) if form.is_valid() else ""
    if not text:
        return _answer(request, exchange, form, 400, "Please correct what is marked.")
    # Of a new account too: empty, for another one, else the next save would overwrite the first.
    fresh = OwnAccountForm(request.user, exchange, instance=account)
    return _answer(request, exchange, fresh, text=text)


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


def _answer(
    request: HttpRequest,
    exchange: Exchange,
    form: OwnAccountForm,
    status: int = 200,
    text: str = "",
) -> HttpResponse:
    context = {
        "exchange": exchange,
        "accounts": [
            each for each in read_accounts(request.user) if each["exchangeId"] == exchange.pk
        ],
        "form": form,
        "account": form.instance if form.instance.pk else None,
    }
    errors = None if status == 200 else form.errors.get_json_data()
    lines = errors and {name: [each["message"] for each in found] for name, found in errors.items()}
    back = reverse("network:page") if text and status == 200 else ""
    answer = Answer(text, status, lines, "network/setup.html", context, back)
    return answer.response(request)
