"""A person's own accounts at an exchange: saved, made the default, deleted."""

from django.db import transaction

from exchanges import accounts
from exchanges.models import UserExchange
from warmup.network.actions.base import ExchangeActions


class AccountActions(ExchangeActions):
    """What one person may do to accounts of theirs at an exchange."""

    def save_account(self, account: UserExchange) -> str:
        """Save an account of this person at the exchange, by the rules of `exchanges.accounts`."""
        self._check()
        asked = account.is_default
        verb = "changed" if account.pk else "added"
        with transaction.atomic():
            accounts.save_account(account)
            self._record(f"Setup: account “{account}” {verb}")
        self._tell("accounts")
        default = ""
        if account.is_default:
            default = ", the default" if asked else ", the default: it is the only active one"
        return f"{account} was {verb}{default}."

    def make_default(self, account: UserExchange) -> str:
        """Make an account of this person at the exchange the default one."""
        self._check()
        with transaction.atomic():
            accounts.make_default(account)
            self._record(f"Setup: account “{account}” made the default")
        self._tell("accounts")
        return f"{account} is your default now."

    def delete_account(self, account: UserExchange) -> str:
        """Delete an account of this person at the exchange; not one whose key an exchange uses."""
        self._check()
        with transaction.atomic():
            accounts.delete_account(account)
            self._record(f"Setup: account “{account}” deleted")
        self._tell("accounts")
        return f"{account} was deleted."
