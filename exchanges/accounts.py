"""Keep every user's accounts in order: exactly one default while any account is active.

- The first account becomes the default.
- A new default unsets the previous one.
- An inactive account can't be the default.
- When the default is deactivated, deleted, unset or given away, the oldest active one takes over.

And keep what an exchange uses as it was chosen: while an exchange uses the key of an account, that
one's variables, exchange and user stay, and it is not deleted. Who deactivates it ends that use.

Each function is one transaction that holds the lock of the user's own row, so that it also covers
a user without accounts. SQLite has no row locks: there a transaction takes the only write lock
when it begins (`transaction_mode` in the settings).
"""

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from exchanges.models import Exchange, UserExchange


def save_account(account: UserExchange) -> UserExchange:
    """Insert or update an account; afterwards its `is_default` is what was stored.

    Moved to another user, a default stays one only where the new owner has none: nobody's
    default changes because an account was handed over.

    Deactivated, it is the choice of no exchange any more.

    Raises ValidationError for an inactive default, for a change of what an exchange uses, and for
    an account that was deleted or moved by somebody else at the same moment.
    """
    _refuse_inactive_default(account)
    with transaction.atomic():
        stored = _lock_users(account)
        if stored is None and not account._state.adding:
            raise ValidationError("This account was deleted by somebody else.")
        if fault := account.why_not_changed():
            raise ValidationError(fault)
        former_user_id = stored.user_id if stored else account.user_id
        others = UserExchange.objects.filter(user_id=account.user_id).exclude(pk=account.pk)
        defaults = others.filter(is_default=True)
        if former_user_id != account.user_id and stored.is_default and defaults.exists():
            account.is_default = False
        if account.is_active and not others.filter(is_active=True).exists():
            account.is_default = True
        if account.is_default:
            defaults.update(is_default=False, updated_at=timezone.now())
        account.save()
        if not account.is_active:
            account.used_by.update(account=None, updated_at=timezone.now())
        for user_id in {account.user_id, former_user_id}:
            _promote_oldest(user_id, unless=account)
    return account


def make_default(account: UserExchange) -> UserExchange:
    """Make an account its user's default, reading the rest of it from the database.

    Raises ValidationError for an inactive account, UserExchange.DoesNotExist for a deleted one.
    """
    with transaction.atomic():
        _lock_users(account)
        account.refresh_from_db()
        account.is_default = True
        return save_account(account)


def deactivate(account: UserExchange) -> UserExchange:
    """Deactivate an account, reading the rest of it from the database.

    Raises UserExchange.DoesNotExist for a deleted one.
    """
    with transaction.atomic():
        _lock_users(account)
        account.refresh_from_db()
        account.is_active = account.is_default = False
        return save_account(account)


def delete_account(account: UserExchange) -> None:
    """Delete an account; one that is gone already is no mistake.

    Raises ValidationError while an exchange uses it.
    """
    with transaction.atomic():
        stored = _lock_users(account)
        if stored is None:
            return
        if fault := stored.why_kept("it is not deleted"):
            raise ValidationError(fault)
        account.delete()
        _promote_oldest(stored.user_id, unless=stored)


def save_choice(exchange: Exchange, shown: str = "") -> None:
    """Save an exchange whose account was chosen, which nobody changes at the same moment.

    `shown` is the `which_key` of the account as it was shown to who chose it; without it that of
    the account as the caller has read it.

    Raises ValidationError where that account may not be used (any more), or is not what was shown.
    """
    with transaction.atomic():
        if exchange.account:
            stored = _lock_users(exchange.account)
            _refuse_unseen(exchange, stored, shown or exchange.account.which_key())
            exchange.account = stored
        exchange.clean()
        exchange.save()


def changed_since_shown(account: UserExchange) -> str:
    """Say why an account is not chosen that is not what was shown."""
    return (
        f"{account} was changed since this page was opened: look at its variables, and choose "
        "again."
    )


def _refuse_unseen(exchange, stored, shown):
    """Refuse to choose what nobody saw; an account that the exchange uses already is no choice."""
    if stored is None:
        raise ValidationError(f"{exchange.account} was deleted by somebody else.")
    is_used = Exchange.objects.filter(pk=exchange.pk, account=stored).exists()
    if not is_used and stored.which_key() != shown:
        raise ValidationError(changed_since_shown(stored))


def _refuse_inactive_default(account):
    if account.is_default and not account.is_active:
        raise ValidationError(f"{account} is inactive and can't be the default: activate it first.")


def _lock_users(account):
    """Lock the account's user, in memory and in the database; return the row as it is stored."""
    row = UserExchange.objects.filter(pk=account.pk)
    stored = row.first()
    user_ids = {account.user_id, stored.user_id if stored else account.user_id}
    users = (
        get_user_model().objects.filter(pk__in=user_ids).order_by("pk")
    )  # one order: no deadlock
    # no_key: rows that merely point at the user (sessions, log entries) may still be written.
    list(users.select_for_update(no_key=True).values_list("pk"))
    stored = row.first()
    if stored and stored.user_id not in user_ids:
        raise ValidationError("This account was moved to another user by somebody else.")
    return stored


def _promote_oldest(user_id, unless):
    accounts = UserExchange.objects.filter(user_id=user_id)
    if accounts.filter(is_default=True).exists():
        return
    active = accounts.filter(is_active=True).exclude(pk=unless.pk)
    if heir := active.order_by("created_at", "pk").first():
        heir.is_default = True
        heir.save(update_fields=["is_default", "updated_at"])
