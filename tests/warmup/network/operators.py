"""People, agents and holders of locks, as the Network page's tests need them."""

import orjson
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission

from exchanges.lock.acquire import TTL_MS, ExchangeLock
from exchanges.lock.status import Holder, State, Status
from exchanges.models import Exchange, Symbol
from exchanges.redis.change_notifications import changed
from livermore.market import keys
from warmup.runner.agents import Registration, register

SYMBOLS = ["BTC-USD", "ETH-USD", "SOL-USD", "XRP-USD"]


def person(name="ada", *permissions, **values):
    """Return one of the staff with these permissions on exchanges."""
    user = get_user_model().objects.create_user(name, **{"is_staff": True} | values)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return user


def listed_exchange(monitored=("BTC-USD", "ETH-USD"), name="sandbox", **values):
    """Return an exchange's row with four symbols, of which some are monitored."""
    Exchange.objects.filter(name=name).update(**{"wanted": Exchange.Wanted.STOPPED} | values)
    row = Exchange.objects.get(name=name)
    row.symbols.bulk_create(
        Symbol(
            exchange=row,
            symbol=symbol,
            native_symbol=symbol.replace("-", ""),
            base=symbol.split("-")[0],
            quote=symbol.split("-")[1],
            is_monitored=symbol in monitored,
        )
        for symbol in SYMBOLS
    )
    return row


def held_by(redis, row, number=1, *, state=None, phase="", heartbeat=None, **details):
    """Let a process of another machine hold the lock; return it. `state` lets it say something."""
    since_ms = redis.time()[0] * 1000 - 60_000
    holder = Holder(f"instance-{number}", number, f"host-{number}", "10.0.0.9", 4711, since_ms)
    redis.set(keys.lock(row.pk), orjson.dumps(holder.as_json()), px=TTL_MS)
    redis.set(keys.epoch(row.pk), number)
    if state:
        status = Status(State(state), phase, None, heartbeat or since_ms, holder, details)
        redis.set(keys.status(row.pk), orjson.dumps(status.as_json()))
    return holder


def live(redis, row, number=1):
    """Let a runner of another machine hold the exchange, and obey commands."""
    return held_by(redis, row, number, state="active", phase="streaming", obeys=True)


def report_status(redis, row, **details):
    """Let such a process say that it streams, and tell pages of it."""
    held_by(redis, row, state="active", phase="streaming", **details)
    redis.publish(*changed(row.pk, "status"))


def agent(redis, name="agent-1", holder=None, running=()):
    """Let an agent be alive; with a `holder` it is the process that holds that lock."""
    host = (holder.hostname, holder.ip, holder.pid) if holder else (f"of-{name}", "10.0.0.1", 1)
    return register(redis, Registration(name, *host, 0, 0, tuple(running)))


def commands(redis, row):
    """Return what was left for the holder of an exchange: name and arguments."""
    entries = redis.xrange(keys.control(row.pk))
    messages = [orjson.loads(fields[b"message"]) for _, fields in entries]
    return [(each["command"], each["arguments"]) for each in messages]


def holder_of(redis, row):
    return ExchangeLock(redis, row.pk).holder()
