"""History is true, whatever goes wrong while it is filled and followed: each candle is there once
and as the exchange has it, what nobody knows is not claimed, and no heal waits for it.

Three symbols in all timeframes are filled from bulk files and REST, and some over REST alone, while
bulk files and answers are spoilt in every way of the sandbox's that concerns candles, in an order
that is drawn; one of the symbols was listed in the middle of a month. The process is killed at
moments that are drawn, and what it leaves is compared: the manifest with all files, and some pairs
with the truth; in the end all candles are. pandas, polars and DuckDB read them by the code of
docs/history.md, with each timeframe in its place. Then an exchange is live, an hour of its time a
minute, and its history followed, while its stream is spoilt and both processes are killed. Last, no
closing frame comes at all, so that each close is healed: alone, beside a fill over REST of another
exchange, which shares with it nothing but this machine, and beside one of the same.
`tests/history/archives/test_fill.py`, `tests/history/followed/test_following.py` and
`tests/experiments/filled/test_comparison.py` show parts of it in every run of the tests.
"""

import base64
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from random import Random
from statistics import median

from django.contrib.auth import get_user_model
from django.test import override_settings
from pytest import MonkeyPatch

from exchanges.models import Exchange, UserExchange
from history.following.kept import start_ms
from history.months import months_in
from livermore.market.timeframe import LONGEST_FIRST, Timeframe
from tests.experiments.filled.comparison import Comparison
from tests.experiments.filled.following import Following
from tests.experiments.filled.healing import Healing, described, quantile
from tests.experiments.filled.killing import YOUNG_MS, Killing
from tests.experiments.filled.spoiling import (
    FEW,
    IN_BULK,
    OFF_MS,
    REST,
    RestSpoiling,
    archive_faults,
)
from tests.experiments.filled.tools import faults_of_tools
from tests.experiments.outcome import Outcome, faults_of
from tests.warmup.runners import MIDNIGHT_MS, MINUTE_MS, SYMBOLS, chosen, make_row, serve

QUICK = {
    "live": {"seconds": 2, "kills": 2, "symbols": SYMBOLS[:1]},
    "fill": {"since": "2026-10-28", "kills": 1, "symbols": SYMBOLS[:1], "kinds": FEW},
    "by_rest": {"since": "2026-11-18", "kills": 0, "symbols": SYMBOLS[:1], "kinds": FEW},
    "tools": (),  # tests/experiments/filled/test_comparison.py
    "heals": 0,
}
SEED = 20261130
NOW_MS = MIDNIGHT_MS + 7 * MINUTE_MS
IN_MIDDLE_MS = 12 * Timeframe.D1.ms + 877 * MINUTE_MS  # of a month a symbol is listed
SPEED = 60
FOLLOWED_SINCE = "2026-11-16"
HEALED_SINCE = "2024-11-19"
REFUSED_KEY = {"kind": "refused_key", "chance": 0.5}
KEY = {
    "COINBASE_FILLED_KEY": "8f1ac569-ed29-48ae-b989-6798a975afab",
    "COINBASE_FILLED_SECRET": base64.b64encode(32 * b"s").decode(),
}
# How much longer a heal may take beside a fill of its own exchange than beside one of another,
# which uses this machine and the sandbox's process alike, but none of the exchange's limits.
SLOWER, LATER_MS = 1.25, 100
MANY_TIMES = 2  # so much longer than with nothing beside it
YEARS = {"since": "2024-11-19", "kills": 10}
HEAL_SECONDS = 30
LIVE = {"seconds": 120, "kills": 12}
BY_REST = {"since": "2026-10-01", "kills": 4}


def run(
    redis, folder, fill=YEARS, by_rest=BY_REST, tools=LONGEST_FIRST, live=LIVE, heals=HEAL_SECONDS
):
    trial = Trial(redis, folder, Random(SEED))
    with history_in(folder / "var" / "history") as patch:
        faults = faults_of("bulk files and REST", lambda: trial.fill(tools, **fill))
        faults += faults_of("REST alone", lambda: trial.fill_by_rest(patch, **by_rest))
        faults += faults_of("live", lambda: trial.follow(patch, heals, **live))
    return Outcome(
        f"History since {fill['since']} was filled in bulk and over REST, with {fill['kills']} "
        f"kills; since {by_rest['since']} over REST alone, in Coinbase's protocol, with "
        f"{by_rest['kills']}; {live['seconds']} seconds of a live exchange were followed, with "
        f"{live['kills']}.",
        {"seed of all that is drawn": str(SEED)} | trial.numbers,
        faults,
    )


@contextmanager
def history_in(place):
    """Keep history there, in this process and in those that it starts."""
    with MonkeyPatch.context() as patch, override_settings(HISTORY=str(place)):
        patch.setenv("LIVERMORE_HISTORY", str(place))
        yield patch


class Trial:
    """What is tried, and what was counted meanwhile."""

    def __init__(self, redis, folder, random):
        self._redis, self._folder, self._random = redis, folder, random
        self.numbers = {}

    def fill(self, tools, since, kills, symbols=SYMBOLS, kinds=REST):
        since_ms = _ms(since)
        months = [month for month, _ in months_in(((since_ms, NOW_MS),))]
        middle_ms = months[len(months) // 2].start_ms + IN_MIDDLE_MS
        with serve(speed=0, start_ms=NOW_MS, listings=_listings(symbols, middle_ms)) as sandbox:
            row = make_row(sandbox, "sandbox", symbols, archive_url=sandbox.url)
            comparison = self._comparison(sandbox, row, symbols, since_ms)
            spoilt = archive_faults(self._random, comparison.pairs, months)
            self.numbers |= {
                "months of bulk files": len(months) * len(symbols) * len(IN_BULK),
                "spoilt of these": len(spoilt),
                "in ways": len({each["way"] for each in spoilt}),
                "kinds of spoilt answers of REST": len(kinds),
            }
            for each in spoilt:
                sandbox.faults.add(**each)
            yield from self._fill(sandbox, row, comparison, kinds, since, kills)
            yield from faults_of_tools(comparison, self._folder, tools)

    def fill_by_rest(self, patch, since, kills, symbols=SYMBOLS, kinds=REST):
        with serve(speed=0, start_ms=NOW_MS, coinbase_private_rate=10**6) as sandbox:
            row = make_row(sandbox, "coinbase", symbols)
            _sign_calls(row, patch)
            comparison = self._comparison(sandbox, row, symbols, _ms(since))
            kinds = (*kinds, REFUSED_KEY)
            yield from self._fill(sandbox, row, comparison, kinds, since, kills)

    def _fill(self, sandbox, row, comparison, kinds, since, kills):
        spoiling = RestSpoiling(self._random, sandbox, row.venue, kinds)
        command = ("history", row.name, "--since", since)
        killing = Killing(self._redis, comparison, spoiling, self._random, command)
        try:
            yield from killing.faults(kills)
            now_ms = sandbox.clock.now_ms()
            yield from comparison.faults_when_complete(now_ms - YOUNG_MS, now_ms + OFF_MS)
        finally:
            found = killing.numbers | {
                "answers of REST spoilt": spoiling.answers,
                "candles compared": comparison.candles,
            }
            self.numbers |= {f"{row.name}: {what}": number for what, number in found.items()}

    def _comparison(self, sandbox, row, symbols, since_ms):
        return Comparison(sandbox, row, self._folder / "var" / "history", symbols, since_ms)

    def follow(self, patch, heals, seconds, kills, symbols=SYMBOLS):
        with serve(speed=SPEED) as sandbox:
            row = make_row(sandbox, "binance_us", symbols)
            comparison = self._comparison(sandbox, row, symbols, _ms(FOLLOWED_SINCE))
            following = Following(self._redis, sandbox, row, self._random, patch)
            following.keep(FOLLOWED_SINCE)
            yield from following.faults(comparison, seconds, kills)
            self.numbers |= {
                "live: runners killed": following.killed["start"],
                "live: followers killed": following.killed["history"],
                "live: closes told": following.closes,
                "live: candles compared": comparison.candles,
            }
            if heals:
                yield from self._heal(sandbox, row, heals)

    def _heal(self, sandbox, row, seconds):
        healing = Healing(self._redis, sandbox, row)
        sandbox.scenarios.add("missing_close")
        with serve(speed=SPEED) as another, healing.live():
            make_row(another, "binance")
            took = {"nothing beside it": healing.alone(seconds)}
            for what, name, host in (
                ("a fill of another exchange", "binance", another),
                ("a fill of the same", row.name, sandbox),
            ):
                command = ("history", name, "--since", HEALED_SINCE, "--archives", "no")
                took[what], calls = healing.beside(command, host, seconds)
                self.numbers[f"candle calls a second of {what}"] = calls / seconds
        self.numbers |= {f"a heal with {what}": described(each) for what, each in took.items()}
        alone, beside_another, beside_its_own = took.values()
        for what, of in (("in the median", median), ("of 95 %", quantile)):
            most = max(SLOWER * of(beside_another), of(beside_another) + LATER_MS)
            if (found := of(beside_its_own)) > most:
                yield f"a heal takes {found:.0f} ms {what}, and {of(beside_another):.0f} ms"
        if median(beside_its_own) > MANY_TIMES * median(alone):
            yield f"a heal takes {median(beside_its_own):.0f} ms, {median(alone):.0f} ms alone"


def _listings(symbols, later_ms):
    """Return what the sandbox lists of these symbols: of several the last one since a time."""
    *others, last = chosen(symbols)
    return (*others, replace(last, listed_ms=later_ms)) if others else (last,)


def _ms(day):
    return start_ms(date.fromisoformat(day))


def _sign_calls(row, patch):
    """Let the row's calls be signed, so that a key may be refused."""
    for name, value in KEY.items():
        patch.setenv(name, value)
    user, _ = get_user_model().objects.get_or_create(username="filled")
    account, _ = UserExchange.objects.get_or_create(
        user=user,
        exchange=row,
        display_name="filled",
        **dict(zip(("api_key_env", "api_secret_env"), KEY, strict=True)),
    )
    Exchange.objects.filter(pk=row.pk).update(account=account)
