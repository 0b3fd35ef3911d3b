"""Forms that do more than their models say: the admin's, and those of a person's own accounts."""

from django import forms
from django.contrib.auth.models import AbstractBaseUser

from exchanges.models import NAME_TAKEN, Exchange, UserExchange

ENV_FIELDS = ("api_key_env", "api_secret_env", "passphrase_env")


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
                self.data[self.add_prefix(name)] = ""
                setattr(self.instance, name, self.initial.get(name, ""))


class ExchangeForm(ForgetfulForm):
    may_be_secret = ("proxy",)


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

    def _refuse_taken_name(self, cleaned):
        """Say what the model's constraint says, next to the field where it can be mended."""
        names = {name: cleaned.get(name) for name in ("user", "exchange", "display_name")}
        if all(names.values()):
            others = UserExchange.objects.filter(**names).exclude(pk=self.instance.pk)
            if others.exists():
                self.add_error("display_name", NAME_TAKEN)


class OwnAccountForm(UserExchangeForm):
    """The same form for one user at one exchange: both are fixed, whatever is sent."""

    def __init__(self, user: AbstractBaseUser, exchange: Exchange, data=None, instance=None):
        account = instance or UserExchange(user=user, exchange=exchange)
        super().__init__(data, instance=account)
        for name in ("user", "exchange"):
            self.fields[name].widget = forms.HiddenInput()
            self.fields[name].disabled = True
