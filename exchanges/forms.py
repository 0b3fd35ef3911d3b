"""Forms that do more than their models say: the admin's, and those of a person's own accounts."""

import re
from typing import Any

from django import forms
from django.contrib.auth.models import AbstractBaseUser
from django.core import signing
from django.db.models import QuerySet

from exchanges import key_names
from exchanges.accounts import changed_since_shown
from exchanges.models import NAME_TAKEN, Exchange, Symbol, UserExchange
from exchanges.symbols.spelling import spelled
from livermore.market.timeframe import LONGEST_FIRST

ENV_FIELDS = ("api_key_env", "api_secret_env", "passphrase_env")
SEPARATOR = ", "
SEEN, NOT_SHOWN = "exchanges.account_seen", "not shown"
# Short words in capitals, which secrets are not.
LIKE_A_NAME = re.compile(r"[A-Z][A-Z0-9]{0,14}(_[A-Z0-9]{1,15}){0,6}")


class ForgetfulForm(forms.ModelForm):
    """Forgets what was refused in the fields `may_be_secret`.

    Somebody may have pasted the secret itself there: the page must not hold it.
    """

    may_be_secret: tuple[str, ...]
    data: Any  # a QueryDict, or a dict in tests

    def full_clean(self):
        super().full_clean()
        if refused := [name for name in self.may_be_secret if name in self.errors]:
            self.data = self.data.copy()
            for name in refused:
                if not self._may_stay(self.data.get(self.add_prefix(name), "").strip()):
                    self.data[self.add_prefix(name)] = ""
                setattr(self.instance, name, self.initial.get(name, ""))

    def _may_stay(self, text: str) -> bool:
        """Tell whether what was refused is certainly no secret, and so may be corrected."""
        return False


class AccountChoice(forms.ModelChoiceField):
    """The accounts whose key an exchange may use, each with its owner and variables."""

    def label_from_instance(self, account: UserExchange) -> str:
        names = ", ".join(filter(None, (account.api_key_env, account.api_secret_env)))
        default = ", the default" if account.is_default else ""
        return f"{account} of {account.user}{default} ({names or 'names no variables'})"


class SignedField(forms.CharField):
    """What a page showed, signed: nothing that a person changes."""

    def has_changed(self, initial, data) -> bool:
        return False


class ExchangeForm(ForgetfulForm):
    """The admin's form of an exchange, where the account is chosen whose key it uses.

    `account_seen` holds which key each account led to when it was shown: one that leads elsewhere
    now is not what was chosen. Who sends none has looked by other means.

    `account_shown` is, after the check, that of the account that was chosen, for `save_choice`.
    """

    may_be_secret = ("proxy",)
    account_seen = SignedField(widget=forms.HiddenInput, required=False)

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.account_shown = ""
        self.fields["account_seen"].initial = ""
        if "account" in self.fields:  # not for who may only look
            self._offer(_choices(self.instance))

    def _offer(self, choices: QuerySet[UserExchange]) -> None:
        """Show accounts, and say which keys they led to, of one reading of the database."""
        field, accounts = self.fields["account"], list(choices)
        field.queryset = choices
        labels = [(account.pk, field.label_from_instance(account)) for account in accounts]
        field.choices = [("", field.empty_label), *labels]
        seen = {str(account.pk): account.which_key() for account in accounts}
        self.fields["account_seen"].initial = signing.dumps(seen, salt=SEEN, compress=True)

    def clean(self):
        cleaned = super().clean()
        if account := cleaned.get("account"):
            self.account_shown = _shown(cleaned.get("account_seen"), account)
            is_choice = "account" in self.changed_data
            if is_choice and self.account_shown != account.which_key():
                self.add_error("account", changed_since_shown(account))
        return cleaned

    def full_clean(self):
        super().full_clean()
        if self.is_bound:  # what is shown next is shown now
            self.data = self.data.copy()
            self.data[self.add_prefix("account_seen")] = self.fields["account_seen"].initial


def _shown(seen: str, account: UserExchange) -> str:
    """Return which key an account led to when it was shown, or that it was not."""
    if not seen:
        return account.which_key()
    try:
        return signing.loads(seen, salt=SEEN).get(str(account.pk), NOT_SHOWN)
    except signing.BadSignature:
        return NOT_SHOWN


def _choices(exchange: Exchange) -> QuerySet[UserExchange]:
    """Return the accounts that may be chosen, defaults first."""
    accounts = UserExchange.objects.filter(exchange=exchange.pk, is_active=True)
    return accounts.select_related("user").order_by("-is_default", "user", "display_name")


class UserExchangeForm(ForgetfulForm):
    may_be_secret = ENV_FIELDS

    class Meta:
        model = UserExchange
        fields = ("user", "exchange", "display_name", *ENV_FIELDS, "is_active", "is_default")

    def clean(self):
        cleaned = super().clean()
        # Who only unticks "active" on the default means both.
        if "is_active" in self.changed_data and "is_default" not in self.changed_data:
            cleaned["is_default"] = cleaned["is_default"] and cleaned["is_active"]
        self._refuse_taken_name(cleaned)
        return cleaned

    def _may_stay(self, text: str) -> bool:
        return LIKE_A_NAME.fullmatch(text) is not None

    def _refuse_taken_name(self, cleaned):
        """Say what the model's constraint says, next to the field where it can be corrected."""
        names = {name: cleaned.get(name) for name in ("user", "exchange", "display_name")}
        if all(names.values()):
            others = UserExchange.objects.filter(**names).exclude(pk=self.instance.pk)
            if others.exists():
                self.add_error("display_name", NAME_TAKEN)


class OwnAccountForm(UserExchangeForm):
    """The same form for one user at one exchange: both are fixed, whatever is sent.

    `rule` says which names of variables the exchange's venue takes.
    """

    def __init__(self, user: AbstractBaseUser, exchange: Exchange, data=None, instance=None):
        account = instance or UserExchange(user=user, exchange=exchange)
        super().__init__(data, instance=account)
        for name in ("user", "exchange"):
            self.fields[name].widget = forms.HiddenInput()
            self.fields[name].disabled = True
        self.rule = key_names.rule(exchange.venue)


class SymbolsField(forms.CharField):
    """Symbols with commas between them, as a list; `empty` is what none of them means."""

    def __init__(self, *, empty: str):
        super().__init__(
            required=False,
            widget=forms.Textarea(attrs={"rows": 3}),
            help_text=f"As in BTC-USD, ETH-USD. Empty: {empty}.",
        )

    def prepare_value(self, value):
        return SEPARATOR.join(value) if isinstance(value, list) else value

    def to_python(self, value):
        words = super().to_python(value).replace("\n", ",").split(",")
        names = [word.strip() for word in words if word.strip()]
        return spelled(names, Symbol.objects.values_list("symbol", flat=True).distinct())


class TimeframesField(forms.MultipleChoiceField):
    """Timeframes by their names, as a list; none of them means all."""

    def __init__(self) -> None:
        super().__init__(
            required=False,
            choices=[(str(each), str(each)) for each in LONGEST_FIRST],
            widget=forms.CheckboxSelectMultiple,
            help_text="None chosen: all six.",
        )
