"""Which symbols of an exchange are kept warm: chosen, taken back, fetched anew."""

import re

from django.core.exceptions import ValidationError
from django.db import transaction

from exchanges.errors import CLIP_OURS, LivermoreError, clip
from exchanges.symbols.fetch_listing import fetch_listing
from exchanges.symbols.listed import KINDS
from exchanges.symbols.monitoring import Change, switch, take_back
from exchanges.symbols.spelling import spelled, symbols_as_listed
from exchanges.symbols.volumes import check_choice, most_traded, quotes_of
from warmup.human_readable import count
from warmup.network.actions.base import ExchangeActions, Refused, Wanted
from warmup.network.actions.volumes import volumes_within
from warmup.network.page.symbols import change_of, undo_token
from warmup.runner.trouble import words_for

SECONDS_UNTIL_VOLUMES = 10.0
FOLLOW = {True: "bulk-add-symbols", False: "remove-symbol"}
STREAMED_FIRST = "they are streamed at once, their history is fetched when it answers"


class SymbolActions(ExchangeActions):
    """What one person may do to the symbols of an exchange.

    `undo` is what `undo_symbols` takes to take the last change of symbols back, "" where there is
    nothing to take back.
    """

    undo = ""

    def add_symbols(self, text: str) -> str:
        """Keep symbols warm from now on, all that are named or none."""
        symbols = self._symbols(text)
        added, follows = self._switch(f"Add symbols: {', '.join(symbols)}", symbols, True)
        return f"{added} of {len(symbols)} newly monitored on {self._name}{follows}."

    def remove_symbols(self, text: str) -> str:
        """Keep symbols warm no longer, all that are named or none."""
        symbols = self._symbols(text)
        removed, follows = self._switch(f"Remove symbols: {', '.join(symbols)}", symbols, False)
        return f"{removed} of {len(symbols)} no longer monitored on {self._name}{follows}."

    def add_most_traded(self, number: str, quote: str, kind: str = "") -> str:
        """Keep the most traded symbols of a quote currency warm too; none is taken away.

        `kind` is of markets, any other than those that there are for all.
        """
        self._check()
        kind = kind if kind in KINDS else ""
        [quote] = spelled([quote.strip()], quotes_of(self._exchange))
        if not (number.strip().isascii() and number.strip().isdigit() and len(number) < 10):
            raise ValidationError({"symbols": f"How many is a whole number, not {clip(number)}."})
        try:
            check_choice(self._exchange, quote, int(number))
        except ValueError as error:
            raise ValidationError({"symbols": f"{error}"}) from error
        volumes, trouble = volumes_within(self._redis, self._exchange, SECONDS_UNTIL_VOLUMES)
        if volumes.at_ms is None:
            text = f"The 24 h volumes of {self._name} are not known: {trouble}"
            self._record_failure(f"Add the most traded of {quote}", text)
            raise Refused(text)
        found = most_traded(self._exchange, volumes, quote, int(number), kind)
        if not found.symbols:
            raise Refused(f"On {self._name} {found}.")
        what = f"Add {found}: {', '.join(found.symbols)}"
        added, follows = self._switch(what, list(found.symbols), True)
        return f"Of {found}, {added} newly monitored on {self._name}{follows}."

    def undo_symbols(self, token: str) -> str:
        """Monitor what was monitored before a change, but for what others switched since."""
        self._check()
        try:
            before = change_of(self._exchange, token)
        except ValueError as error:
            raise Refused(f"Nothing was undone: {error}.") from error
        with transaction.atomic():
            change, left = take_back(self._exchange, before)
            verb = "monitored again" if change.is_monitored else "no longer monitored"
            self._record(f"Undo: {', '.join(change.symbols) or 'nothing'} {verb}")
            follows = self._follow_change(change)
        self._tell()
        self.undo = undo_token(self._exchange, change)
        stays = f"; {count(len(left), 'symbol')} that somebody changed since stay" if left else ""
        return f"Undone: {len(change.symbols)} {verb} on {self._name}{follows}{stays}."

    def sync_symbols(self) -> str:
        """Ask the exchange what it lists, in this thread, and keep that."""
        self._check()
        try:
            report = fetch_listing(self._exchange)
        except LivermoreError as error:
            text, remedy = words_for(error, self._exchange)
            self._record_failure("Sync symbols", text)
            raise Refused(f"{self._name}: {clip(text, CLIP_OURS)}. Do: {remedy}") from error
        with transaction.atomic():
            self._record(f"Sync symbols: {report}")
        self._tell()
        return f"{self._name}: {report}."

    def _symbols(self, text: str) -> list[str]:
        names = [name for name in re.split(r"[\s,;]+", text) if name]
        if not names:
            raise ValidationError({"symbols": "Name at least one symbol, such as BTC-USD."})
        return symbols_as_listed(self._exchange, names)

    def _switch(self, what: str, symbols: list[str], is_monitored: bool) -> tuple[int, str]:
        """Monitor symbols, or no longer; return how many that changed, and what the runner does."""
        self._check()
        with transaction.atomic():
            change = switch(self._exchange, symbols, is_monitored)
            self._record(what)
            follows = self._follow(symbols, is_monitored)
        self._tell()
        self.undo = undo_token(self._exchange, change)
        return len(change.symbols), follows

    def _follow_change(self, change: Change) -> str:
        return self._follow(list(change.symbols), change.is_monitored) if change.symbols else ""

    def _follow(self, symbols: list[str], is_monitored: bool) -> str:
        """Tell the runner of symbols that came or went; return what it will do."""
        if self._state().holder is None and self._exchange.wanted == Wanted.STOPPED:
            return ""
        # One that is just starting may have read the list before: it finds the command later.
        self._control.send(FOLLOW[is_monitored], symbols=symbols)
        text = ", and its runner follows"
        return f"{text}: {STREAMED_FIRST}" if is_monitored else text
