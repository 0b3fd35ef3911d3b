"""Forms of the admin that do more than their model says."""

from django import forms

from exchanges.models import UserExchange

ENV_FIELDS = ("api_key_env", "api_secret_env", "passphrase_env")


class UserExchangeForm(forms.ModelForm):
    class Meta:
        model = UserExchange
        fields = ("user", "exchange", "display_name", *ENV_FIELDS, "is_active", "is_default")

    def full_clean(self):
        super().full_clean()
        # Where a name was refused, the key itself may have been pasted: the page must not hold it.
        if refused := [name for name in ENV_FIELDS if name in self.errors]:
            self.data = self.data.copy()
            for name in refused:
                self.data[self.add_prefix(name)] = ""
                setattr(self.instance, name, self.initial.get(name, ""))

    def clean(self):
        cleaned = super().clean()
        # Who only unticks "active" on the default means both.
        if "is_active" in self.changed_data and "is_default" not in self.changed_data:
            cleaned["is_default"] = cleaned["is_default"] and cleaned["is_active"]
        return cleaned
