"""Work that writes candles: done here under the lock, or by the runner that holds it."""

import time
from collections.abc import Callable
from typing import Any

from redis import Redis

from exchanges.errors import NotDone
from exchanges.lock.acquire import TTL_MS as LONGEST_TTL_MS
from exchanges.lock.acquire import ExchangeLock, Held
from exchanges.lock.control import Reply
from exchanges.lock.control_client import ControlClient, NoReply
from exchanges.lock.lease import Lease
from exchanges.lock.status import State, read_status
from exchanges.models import Exchange
from exchanges.redis.server_watch import ServerWatch
from livermore.market import keys
from warmup.cache.candles import CandleCache
from warmup.runner.command_log import CommandLog, describe, operator

SECONDS_OF_SILENCE = 60
SECONDS_BETWEEN_TRIES = 0.2
SECONDS_BETWEEN_LOOKS = 2.0
ENDLESS = -1  # what Redis says of a key that does not expire
# Shorter than a runner's: who kills a command and starts it again shall not wait long.
TTL_MS, RENEW_MS = 6_000, 2_000

Result = dict[str, Any]
Show = Callable[[Result], None]


def under_lock(
    redis: Redis,
    exchange: Exchange,
    command: str,
    arguments: dict[str, Any],
    work: Callable[[CandleCache, Show], Result],
    show: Show,
    say: Callable[[str], object],
    who: str | None = None,
) -> Result:
    """Return the result of `work`, or of `command` where a runner has the exchange.

    `work` is given a cache that writes under our lease, and what to call with its progress. A
    runner is sent `command` with `arguments`, and `show` is told of its progress. A holder that
    does something else is waited for, as `say` is told; so is the lock of one that died. `who` is
    written down with the command: who types here where it is None, and nothing for "". Raises Held
    where that holder goes on, NotDone with what a runner said if it could not do it.
    """
    who = operator() if who is None else who
    lock = ExchangeLock(redis, exchange.pk, ttl_ms=TTL_MS, renew_ms=RENEW_MS)
    server = ServerWatch(redis, keys.epoch(exchange.pk))
    server.has_changed()

    def surely(cache: CandleCache, show: Show) -> Result:
        """Do it again where Redis is another one since: it may have lost what was written."""
        result = work(cache, show)
        while server.has_changed():
            result = work(cache, show)
        return result

    try:
        lease = lock.acquire()
    except Held as held:
        status = read_status(redis, exchange.pk)
        if held.holder.is_known and status.state is State.ACTIVE and status.details.get("obeys"):
            request = command, arguments, who
            result = _ask_holder(redis, exchange, request, show, lock)
            if result is not None:
                return result
        say(f"{held}. Waiting for it to end")
        lease = _acquire_when_free(lock)
    with lease:
        lease.report(State.WARMING, command)
        cache = CandleCache(redis, exchange.pk, lease.own_epoch)
        if not who:
            return surely(cache, show)
        log = CommandLog(redis, exchange.pk)
        with log.noting(describe(command, arguments), who, lease.epoch) as noted:

            def tell(progress: Result) -> None:
                noted.show(progress)
                show(progress)

            result = surely(cache, tell)
            noted.done(result)
            return result


def _acquire_when_free(lock: ExchangeLock) -> Lease:
    """Take the lock once it is given back or runs out; raise Held when its holder renews it."""
    left_ms = lock.left_ms()
    if left_ms == ENDLESS or left_ms > LONGEST_TTL_MS:  # none of ours, and waited for in vain
        return lock.acquire()
    while True:
        time.sleep(SECONDS_BETWEEN_TRIES)
        try:
            return lock.acquire()
        except Held:
            before_ms, left_ms = left_ms, lock.left_ms()
            if left_ms > before_ms:
                raise


def _ask_holder(
    redis: Redis,
    exchange: Exchange,
    request: tuple[str, dict[str, Any], str],
    show: Show,
    lock: ExchangeLock,
) -> Result | None:
    """Return what the runner answers, None if it died before that."""
    command, arguments, who = request
    client = ControlClient(redis, exchange.pk, who)
    request_id = client.send(command, **arguments)
    received_at = time.monotonic()

    def received(reply: Reply) -> None:
        nonlocal received_at
        received_at = time.monotonic()
        show(reply.result)

    while True:
        try:
            reply = client.wait(request_id, SECONDS_BETWEEN_LOOKS, received)
        except NoReply:
            if lock.left_ms() < 0:
                return None
            if time.monotonic() - received_at > SECONDS_OF_SILENCE:
                raise
        else:
            if not reply.ok:
                text = f"the runner of {exchange.name} could not do it: {reply.error}"
                raise NotDone(text, reply.retry_after_seconds)
            return reply.result
