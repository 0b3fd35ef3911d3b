"""Forms that do more than their models say: the admin's, and those of a person's own accounts."""

import re

from django import forms
from django.contrib.auth.models import AbstractBaseUser
from django.db.models import QuerySet
from django.utils import timezone

from exchanges import key_names
from exchanges.models import NAME_TAKEN, Exchange, UserExchange

ENV_FIELDS = ("api_key_env", "api_secret_env", "passphrase_env")
# Short words in capitals, which secrets are not.
LIKE_A_NAME = re.compile(r"[A-Z][A-Z0-9]{0,14}(_[A-Z0-9]{1,15}){0,6}")


class ForgetfulForm(forms.ModelForm):
    """Forgets what was refused in the fields `may_be_secret`.

    Somebody may have pasted the secret itself there: the page must not hold it.
    """

    may_be_secret: tuple[str, ...]

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


class Moment(forms.DateTimeField):
    """When a page was made: nothing that a person changes."""

    def has_changed(self, initial, data) -> bool:
        return False


class ExchangeForm(ForgetfulForm):
    """The admin's form of an exchange, where the account is chosen whose key it uses.

    `account_seen` is when the accounts were shown: one that was changed since is not what was
    chosen. Who sends no such time has looked by other means.
    """

    may_be_secret = ("proxy",)
    account_seen = Moment(widget=forms.HiddenInput, required=False)

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["account_seen"].initial = timezone.now
        if "account" in self.fields:  # not for who may only look
            self.fields["account"].queryset = _choices(self.instance)

    def clean(self):
        cleaned = super().clean()
        account, seen = cleaned.get("account"), cleaned.get("account_seen")
        if account and seen and "account" in self.changed_data and account.updated_at > seen:
            self.add_error(
                "account",
                f"{account} was changed since this page was opened: look at its variables, and "
                "choose again.",
            )
        return cleaned

    def full_clean(self):
        super().full_clean()
        if "account" in self.errors:  # what is shown next is shown now
            self.data = self.data.copy()
            self.data[self.add_prefix("account_seen")] = timezone.now().isoformat()


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
        """Say what the model's constraint says, next to the field where it can be mended."""
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
