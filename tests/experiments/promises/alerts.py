"""Whatever breaks, people are told of it once, with the reason, and once that it is over, in order
and together; whoever evaluates alerts is killed, another one goes on, and nothing is told twice or
left out; a channel that takes nothing delays no other; who is dead is missed elsewhere; and where
prices turn it rings on the close at which a hand calculation has it.

An exchange is kept live by real agents, ten times as fast as it is, another one in real time; Redis
and the database are real, and messages go to webhooks on this machine. One after the other
everything is broken that rules are about; with two rules of each kind, one for a channel that works
and one for a channel that at first answers with 500, then with nothing, then resets connections.
Two `manage.py alerts` run. Meanwhile one of them is killed (SIGKILL) at drawn moments, and both in
the middle of drawn messages: before one arrives, and after it has arrived and before that is known.
After each kill it is looked up which messages that process was sending, as far as it had noted: of
these nobody can know whether they were told. They are told again, say that they may have been told
before, and have the number that the first had. A message may have come twice only where such a kill
of its own sender lies between, and once more for each of them; what says that it may have been told
before has to be one of them, or one to which the webhook gave no answer. So what holds is *exactly
once* for what no kill met, and *at least once, and marked* for what one did. A holder that dies and
is followed while nobody evaluates is told of as a take-over alone. Thresholds are nought,
cool-downs too, but for two rules that try cool-down and quiet hours. The time between looks, a turn
and tries are those of the product.

A price stands at 100, falls to 90 within a minute, and stands there:
`tests/alerts/signals/market.py` has MACD-V of that by hand, which crosses two levels and turns. Not
broken here: what the digest, `absent` and `redis_evicts` are about, of which every run of the tests
has `tests/alerts/events/test_others.py`; signals that are revised, of which it has
`tests/alerts/signals/test_source.py`. `tests/alerts/test_killed.py` kills a look at each of its
statements there.
"""

import statistics
import threading
import time
from collections import Counter
from contextlib import ExitStack, suppress
from itertools import pairwise
from random import Random

import pytest

from alerts.models import Alert, AlertChannel, AlertRule
from exchanges.models import Exchange, Symbol
from tests.experiments.bots.fleet import Kept, command
from tests.experiments.bots.installation import HANDOVER_SECONDS, Installation
from tests.experiments.interference.breakages import BREAKAGES, Installed
from tests.experiments.interference.drawn import DRAWN, draw
from tests.experiments.interference.quiet_hours import QuietHours
from tests.experiments.outcome import Outcome, faults_of
from tests.experiments.watching.evaluators import Evaluators
from tests.experiments.watching.messages import Messages, faults_of_alerts
from tests.experiments.watching.webhook import (
    ARRIVED,
    HANGING,
    LOST,
    REFUSED,
    RESET,
    Webhook,
)
from tests.warmup.live.redis_away import OwnRedis
from tests.warmup.runners import chosen, make_row, serve, start, wait_until

QUICK = {"breakages": ["symbols"], "is_quick": True}
SEED = 20261129
SPEED = 10
WATCHED = ("BTC-USD", "ETH-USD", "SOL-USD", "XRP-USD", "DOGE-USD", "ADA-USD", "LTC-USD")
LISTED = (*WATCHED, "LINK-USD", "AVAX-USD", "BNB-USD", "DOT-USD", "UNI-USD", "BTC-USDT")
CLOCKED = ("BTC-USD", "ETH-USD")
OF_THE_EXCHANGE = ("halted", "delisted", "renamed")
KINDS = (
    *OF_THE_EXCHANGE, "hole", "stale", "unreachable", "hold", "ban", "take_over", "holder_died",
    "lock_lost", "agent_died", "warmup_failed", "redis_away", "redis_writes", "audit_failed",
    "clock_skew",
)  # fmt: skip
SIGNALS = ("level", "reversal")
# What comes with something else that is broken: more of it may be told than was broken by itself.
ALONG = {"hole", "stale", "unreachable", "lock_lost", "take_over", "holder_died", "agent_died"}
THRESHOLDS = {"lock_lost": 1.0, "clock_skew": 5.0}
FAILURES = 2 * [*4 * [REFUSED], *2 * [HANGING], *4 * [RESET]]
DRAWN_DEATHS = 4  # of senders, in the middle of a message; half of them after it has arrived
EARLIEST_DEATH, LATEST_DEATH = 3, 30  # among the calls at the webhook
LEAST_SECONDS, MOST_SECONDS = 3.0, 35.0  # from when one works to when it is killed
NEVER_SECONDS = 86_400.0
# So late a message arrives after it was decided, where nobody is killed: a process that has just
# begun reads in what it sends with, which takes seconds on a busy machine. The other channel's
# messages wait for minutes meanwhile.
LATEST_SECONDS = 10.0
DEAD_SECONDS = 65.0  # for which nobody evaluates: a call a minute is to be missed
DONE_WITHIN_SECONDS = 240
QUICKLY = """
import os, django
os.environ["DJANGO_SETTINGS_MODULE"] = "livermore.settings"
django.setup()
from datetime import timedelta
from django_redis import get_redis_connection
from alerts.delivery import backoff, senders
from alerts.evaluating.service import AlertService
from alerts.events.sources import all_sources
backoff.FIRST_SECONDS = 0.1
senders.SURELY_OVER = timedelta(seconds=3)
AlertService(get_redis_connection("default"), all_sources(), 0.2, 1.5).run()
"""


def run(redis, folder, breakages=None, is_quick=False):
    with ExitStack() as stack:
        trial = Trial(stack, folder, is_quick)
        faults = []
        for name in breakages or BREAKAGES:
            faults += faults_of(name, trial.break_one, name)
        if not is_quick:
            faults += faults_of("quiet hours", trial.quiet_hours.end)
            faults += faults_of("nobody evaluates", trial.be_dead)
        faults += faults_of("in the end", trial.finish)
        said = " ".join(BREAKAGES[name].__doc__ for name in breakages or BREAKAGES)
        return Outcome(said, trial.numbers(), faults)


class Trial:
    """An installation that is broken, and what people were told of it."""

    def __init__(self, stack: ExitStack, folder, is_quick: bool):
        self._is_quick = is_quick
        self._expected: Counter = Counter()
        self._patch = stack.enter_context(pytest.MonkeyPatch.context())
        own_redis = stack.enter_context(OwnRedis(folder))
        self._patch.setenv("REDIS_URL", own_redis.server.url)
        self._patch.setenv("LIVERMORE_HANDOVER_SECONDS", str(HANDOVER_SECONDS))
        self._patch.setenv("LIVERMORE_LOG_LEVEL", "INFO")
        client = stack.enter_context(own_redis.client())
        listings = (*chosen(LISTED), DRAWN)
        sandbox = stack.enter_context(serve(speed=SPEED, listings=listings))
        drop = draw(sandbox)
        clocked = stack.enter_context(serve(speed=1, start_ms=None, listings=chosen(CLOCKED)))
        wanted = Exchange.Wanted.STOPPED if is_quick else Exchange.Wanted.RUNNING
        rows = [
            make_row(sandbox, "sandbox", (*WATCHED, DRAWN.symbol), wanted=wanted),
            make_row(clocked, "binance", CLOCKED, wanted=wanted),
        ]
        self._evaluators = Evaluators(self._begin_evaluator)
        stack.callback(self._evaluators.stop)
        self._begin_webhooks(stack)
        self._agents = Installation(client, own_redis, rows)
        stack.callback(self._agents.kill)
        if not is_quick:
            self._agents.begin_agents()
        self._here = Installed(
            *(client, own_redis, sandbox, rows[0], clocked, rows[1]),
            *(drop, self._agents, self._evaluators, self._phone, command),
        )
        self._make_rules(rows)
        self._evaluators.begin()
        seconds = (NEVER_SECONDS, NEVER_SECONDS) if is_quick else (LEAST_SECONDS, MOST_SECONDS)
        self._evaluators.kill_now_and_then(SEED, *seconds)
        if not is_quick:
            self.quiet_hours.begin()

    def break_one(self, name):
        """Break one thing and put it right; what is told of it is expected from now on."""
        self._phone.go_on()
        self._expected += BREAKAGES[name](self._here)
        return ()

    def be_dead(self):
        """Let nobody evaluate for more than a minute; yield where nobody would have missed that."""
        self._phone.go_on()
        self._evaluators.rest()
        began, symbol = time.time(), WATCHED[2]
        symbols = Symbol.objects.filter(exchange=self._here.row, symbol=symbol)
        symbols.update(status="halted")
        threading.Event().wait(DEAD_SECONDS)
        if calls := [at for at in self._calls() if at > began + 1]:
            yield f"{len(calls)} calls said that all is well while nobody evaluated"
        self._evaluators.begin()
        self._phone.wait(DONE_WITHIN_SECONDS, halted=1)
        symbols.update(status="trading")
        self._phone.wait_until_over(DONE_WITHIN_SECONDS, "halted")
        self._expected += Counter(halted=1)
        wait_until(lambda: self._calls()[-1] > began + DEAD_SECONDS, DONE_WITHIN_SECONDS)

    def finish(self):
        """End all; yield what was told twice, or not at all, or to nobody."""
        deadline = time.monotonic() + DONE_WITHIN_SECONDS
        with suppress(AssertionError):  # what is not over, or not told, is found below
            wait_until(lambda: not self._open(), DONE_WITHIN_SECONDS)
            for each in self._all_messages():
                wait_until(lambda of=each: not _waiting(of.channel), deadline - time.monotonic())
        yield from self._evaluators.end()
        for each in self._all_messages():
            yield from (f"{each.channel}: {text}" for text in each.faults())
        yield from faults_of_alerts()
        for each in (self._phone, self._team):
            yield from (f"{each.channel}: {text}" for text in self._faults_of_counts(each))
        slow = [
            each for each in self._phone.delays(self._evaluators.kills) if each > LATEST_SECONDS
        ]
        if slow:
            yield f"{len(slow)} messages arrived late, {max(slow):.1f} s after they were decided"
        if not self._team.webhook.failed.total():
            yield "no channel has failed, so this shows nothing"
        if not self._is_quick:
            yield from self._agents.end()

    def numbers(self):
        """Return what was counted."""
        told = self._phone.webhook.taken
        delays = self._phone.delays(self._evaluators.kills)
        twice, once = map(sum, zip(*(each.again() for each in self._all_messages()), strict=True))
        kinds = self._phone.begun()
        return {
            "messages that arrived where the channel works": len(told),
            "of these beginnings": kinds.total(),
            "kinds of alerts told": len(kinds),
            "subjects that they were about": self._phone.subjects(*KINDS, *SIGNALS),
            "messages that arrived where the channel failed at first": len(
                self._team.webhook.taken
            ),
            **{f"tries that were {how}": n for how, n in self._team.webhook.failed.items()},
            "processes of alerts that were killed": len(self._evaluators.kills),
            "messages that these were sending, as far as was noted": len(self._evaluators.doubts),
            "senders killed before a message arrived": self._died(LOST),
            "senders killed after a message arrived": self._died(ARRIVED),
            "messages told twice, the second time as possibly told before": twice,
            "messages told once, as possibly told before": once,
            "seconds from decision to arrival where nobody was killed, median": round(
                statistics.median(delays or [0.0]), 2
            ),
            "seconds from decision to arrival where nobody was killed, at worst": round(
                max(delays, default=0.0), 2
            ),
            "the same where the channel failed at first, at worst": round(
                max(self._team.delays(), default=0.0), 2
            ),
            "calls that say that all is well": len(self._calls()),
            "seconds between two of these, at worst": round(self._longest_silence(), 1),
            "times the database was locked when they looked": self._evaluators.said(
                "alerts.not_evaluated"
            ),
            "times it was locked when they noted what was sent": self._evaluators.said(
                "alerts.not_noted"
            ),
        }

    # --

    def _begin_evaluator(self):
        return Kept(start(code=QUICKLY)) if self._is_quick else command("alerts")

    def _begin_webhooks(self, stack):
        rng = Random(SEED)
        calls = rng.sample(range(EARLIEST_DEATH, LATEST_DEATH), DRAWN_DEATHS)
        deaths = {call: (ARRIVED, LOST)[number % 2] for number, call in enumerate(calls)}
        failures = FAILURES
        if self._is_quick:
            deaths, failures = {2: ARRIVED}, [REFUSED, RESET]
        self._phone = self._messages(stack, "phone", Webhook((), deaths, self._evaluators.kill_all))
        self._team = self._messages(stack, "team", Webhook(failures))
        self._night = self._messages(stack, "night", Webhook())
        self._calm = self._messages(stack, "calm", Webhook())
        self.quiet_hours = QuietHours(self._night, self._calm)
        self._elsewhere = Webhook()
        stack.callback(self._elsewhere.close)
        url = f"http://127.0.0.1:{self._elsewhere.port}/alive"
        self._patch.setenv("LIVERMORE_DEAD_MAN_URL", url)

    def _messages(self, stack, name, webhook):
        stack.callback(webhook.close)
        variable = f"LIVERMORE_NOTIFY_{name.upper()}"
        self._patch.setenv(variable, webhook.url)
        channel = AlertChannel.objects.create(name=name, variable=variable)
        return Messages(webhook, channel, self._evaluators.doubts)

    def _make_rules(self, rows):
        AlertRule.objects.all().delete()
        of_kind = dict.fromkeys(OF_THE_EXCHANGE, rows[0]) | {"clock_skew": rows[1]}
        for kind in KINDS:
            for each in (self._phone, self._team):
                AlertRule.objects.create(
                    what=kind,
                    exchange=of_kind.get(kind),
                    threshold=THRESHOLDS.get(kind, 0.0),
                    cool_down=0,
                    channel=each.channel,
                )
        for kind in SIGNALS:
            for each in (self._phone, self._team):
                AlertRule.objects.create(
                    what=kind,
                    symbols=[DRAWN.symbol],
                    timeframes=["1m"],
                    cool_down=0,
                    channel=each.channel,
                )

    def _all_messages(self):
        return (self._phone, self._team, self._night, self._calm)

    def _died(self, how):
        return Counter(self._phone.webhook.killed_at.values())[how]

    def _calls(self):
        return [each.at for each in self._elsewhere.taken]

    def _longest_silence(self):
        calls = self._calls()
        return max((b - a for a, b in pairwise(calls)), default=0.0)

    @staticmethod
    def _open():
        return Alert.objects.filter(resolved_at=None).exists()

    def _faults_of_counts(self, messages):
        told = messages.begun()
        for kind in (*KINDS, *SIGNALS):
            count, expected = told[kind], self._expected[kind]
            if count < expected or (count > expected and kind not in ALONG):
                yield f"{kind} was told {count} times, and happened {expected} times"


def _waiting(channel):
    return channel.deliveries.exclude(state="delivered").exists()
