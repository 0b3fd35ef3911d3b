"""What a person does to an exchange on the Network page: checked, done, written down, told."""

from warmup.network.actions.own_accounts import AccountActions
from warmup.network.actions.run import RunActions
from warmup.network.actions.symbols import SymbolActions


class Actions(RunActions, SymbolActions, AccountActions):
    """What one person may do to one exchange; every method returns a line on what happens now.

    Raises Refused, Held where the lock is elsewhere, UnknownSymbol, ValidationError by field for
    what was typed wrong, RedisError.
    """
