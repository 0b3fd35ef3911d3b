"""Who may call an exchange when: kept in Redis, so all processes on this address share it.

One hash a host holds until when the host asked to be left alone, when the last batch went out and
how much request weight went out lately. It vanishes ten minutes after the last call, but not while
the limits that the host published are still believed.
"""

import logging
import random
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from math import ceil
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from redis import Redis
from redis.exceptions import ResponseError

from exchanges.errors import Banned, Paused, Temporary, TurnedAway
from exchanges.redis.unreadable import Unreadable, of_type, tell_once, value_or_error
from livermore.market import keys

logger = logging.getLogger(__name__)

SHARE_OF_LIMIT = 0.8  # of what an exchange publishes; the rest is for other programs and for error
LONGEST_HOLD_SECONDS = 120  # who is told to wait longer is told so, instead of seeming to hang
IDLE_MS = 600_000
LIMITS_BELIEVED_MS = 3_600_000
TURN_MS = 50  # within which who waits for a batch comes back for it
ASKED_LATELY_MS = 10_000  # so long whoever asks for the limits has time to tell them to all
SECONDS_BETWEEN_LOOKS = 0.5  # of who waits while somebody asks for the limits
# A firewall's page passes within minutes. So long it is waited out, with pauses that grow.
TURNED_AWAY_SECONDS, LONGEST_PAUSE_SECONDS = 360, 60
TRIED_LATELY_MS, TRIED_LOOK_MS = 10_000, 250  # whoever tries may die; how often others look
LONGEST_WHOLE = 16  # digits, of a number that a script can reckon with
LONGEST_BAN_SECONDS = 7 * 86_400  # the longest known is three days; more than a week is a mistake


class Lane(Enum):
    """What a call is for; its value is the share of the budget it may use up."""

    HEAL = 1.0
    LIVE = 0.95
    BACKFILL = 0.9


@dataclass(frozen=True, slots=True)
class Limits:
    """What an exchange allows one address: weight in a minute, requests in five."""

    weight_per_minute: int
    requests_per_5_minutes: int


_IN_SCRIPTS = {
    "__IDLE__": IDLE_MS, "__TURN__": TURN_MS, "__TRIED__": TRIED_LATELY_MS,
    "__LOOK__": TRIED_LOOK_MS, "__LONGEST__": 1000 * LONGEST_BAN_SECONDS,
}  # fmt: skip

# All scripts: KEYS[1] the host's hash. The clock is the server's, the same for every process.
_START = """
local key = KEYS[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function keep(ms)
    redis.call('PEXPIRE', key, math.max(ms, redis.call('PTTL', key)))
end
"""
_STATE = (
    _START
    + """
local state, fields = {}, redis.call('HGETALL', key)
for i = 1, #fields, 2 do
    if string.match(fields[i + 1], '^%d+$') and #fields[i + 1] < 16 then
        state[fields[i]] = fields[i + 1]
    else -- none of ours: it counts as not there, and nothing could be added to it
        redis.call('HDEL', key, fields[i])
    end
end

-- Nothing was asked to wait longer than the longest ban: more than that is none of ours.
local function left(field)
    local ms = tonumber(state[field] or 0) - now
    return ms <= __LONGEST__ and math.max(ms, 0) or 0
end

-- The pauses that were made in a row because a firewall turned this address away, in ms; 0 where it
-- doesn't, or where that is long ago.
local refused = tonumber(state.refused_ms or 0)
if now - tonumber(state.held_until or 0) > __IDLE__ then refused = 0 end

-- How much of them is over.
local function sat_out()
    return math.max(refused - left('held_until'), 0)
end
"""
)
# Who is to wait, whatever the budget; and what a take returns: {ms to wait, ms left of a hold, when
# a ban ends or 0, 1 if a firewall turns this address away, ms of such pauses that are over, ...}.
_TURN = (
    _STATE
    + """
local wait = math.max(left('held_until'), left('banned_until'))
if refused > 0 then -- one call at a time tries whether that is over
    wait = math.max(wait, math.min(left('trying_until'), __LOOK__))
end

local function go()
    if refused > 0 then
        redis.call('HSET', key, 'trying_until', string.format('%.0f', now + __TRIED__))
    end
    keep(__IDLE__)
end

local function turn(wait, ...)
    local banned = left('banned_until')
    local ban_ends = banned > 0 and now + banned or 0
    return {wait, left('held_until'), ban_ends, refused > 0 and 1 or 0, sat_out(), ...}
end
"""
)
_WINDOW = """
-- A window that slides: what went out is counted in slices of a 60th of it and forgotten when a
-- whole window has passed. Whenever the exchange's own window begins, it lies within ours.
local function window(name, length)
    local slice = length / 60
    local current, used, slices = math.floor(now / slice), 0, {}
    for field, amount in pairs(state) do
        local kind, id = string.match(field, '^(%a+):(%d+)$')
        if kind == name then
            id = tonumber(id)
            if id < current - 60 or id > current then -- over, or the clock stepped back
                redis.call('HDEL', key, field)
            else
                used = used + amount
                slices[#slices + 1] = {id, tonumber(amount)}
            end
        end
    end
    table.sort(slices, function(a, b) return a[1] < b[1] end)
    local function wait_for(room)
        local freed, wait = 0, 0
        for _, entry in ipairs(slices) do
            if freed >= room then break end
            freed = freed + entry[2]
            wait = (entry[1] + 61) * slice - now
        end
        return wait
    end
    return {field = name .. ':' .. current, used = used, wait_for = wait_for}
end
"""

# What is urgent goes first: where it has to wait it says until when, and others leave it its turn.
#
# ARGV: batch size, delay in ms, 1 if it is urgent.
TAKE_BATCH = (
    _TURN
    + """
if wait > 0 then return turn(wait) end
local last, used = tonumber(state.batch_last or 0), tonumber(state.batch_used or 0)
if last > now then last, used = 0, 0 end -- the server's clock stepped back
if now - last >= tonumber(ARGV[2]) then used = 0 end
if used >= tonumber(ARGV[1]) then
    wait = last + ARGV[2] - now
    if ARGV[3] == '1' then
        redis.call('HSET', key, 'urgent_until', string.format('%.0f', now + wait + __TURN__))
    end
    return turn(wait)
end
local urgent = tonumber(state.urgent_until or 0)
if ARGV[3] ~= '1' and now < urgent and urgent <= now + __TURN__ then return turn(urgent - now) end
redis.call('HSET', key, 'batch_last', now, 'batch_used', used + 1)
go()
return turn(0, now)
"""
)

# ARGV: weight, share of the limit or '' for who waits for no budget, weight limit and request limit
# while none is known. Returns also weight used with this call, weight allowed, 1 if the limits are
# known.
TAKE_WEIGHT = (
    _TURN
    + _WINDOW
    + """
local share = tonumber(ARGV[2]) or 1
local weight_allowed = math.floor(share * (state.weight_limit or ARGV[3]))
local requests_allowed = math.floor(share * (state.request_limit or ARGV[4]))
local weights, requests = window('weight', 60000), window('requests', 300000)
if ARGV[2] ~= '' then
    wait = math.ceil(math.max(
        wait,
        weights.wait_for(weights.used + ARGV[1] - weight_allowed),
        requests.wait_for(requests.used + 1 - requests_allowed)))
end
if wait == 0 then
    redis.call('HINCRBY', key, weights.field, ARGV[1])
    weights.used = weights.used + ARGV[1]
    redis.call('HINCRBY', key, requests.field, 1)
    go()
end
local known = tonumber(state.limits_until or 0) > now
return turn(wait, now, weights.used, weight_allowed, known and 1 or 0)
"""
)

# A call never left this machine: what was counted for it is taken out of the slices it went into,
# as far as that is still there.
#
# ARGV: when it was counted, weight. Returns the weight used without it.
TAKE_BACK_WEIGHT = (
    _STATE
    + _WINDOW
    + """
local function less(field, amount)
    local left = tonumber(state[field] or 0) - amount
    if left > 0 then
        redis.call('HSET', key, field, left)
    else
        redis.call('HDEL', key, field)
    end
    state[field] = left > 0 and left or nil
end
less('weight:' .. math.floor(ARGV[1] / 1000), tonumber(ARGV[2]))
less('requests:' .. math.floor(ARGV[1] / 5000), 1)
redis.call('HDEL', key, 'trying_until')
return window('weight', 60000).used
"""
)

# ARGV: when it was counted.
TAKE_BACK_BATCH = (
    _STATE
    + """
local used = tonumber(state.batch_used or 0)
if used > 0 and tonumber(state.batch_last or 0) >= tonumber(ARGV[1]) then
    redis.call('HSET', key, 'batch_used', used - 1)
end
redis.call('HDEL', key, 'trying_until')
"""
)

# ARGV: the weight the exchange says this address has used. Others' calls count as if ours.
OBSERVE = (
    _STATE
    + _WINDOW
    + """
local weights = window('weight', 60000)
if tonumber(ARGV[1]) > weights.used then
    redis.call('HINCRBY', key, weights.field, ARGV[1] - weights.used)
    keep(__IDLE__)
end
"""
)

# ARGV: weight limit, request limit, ms for which they are worth believing, 1 if nobody published
# them: then others stay. Returns 1 if they hold from now on.
SET_LIMITS = (
    _START
    + """
local known = (tonumber(redis.call('HGET', key, 'limits_until') or 0) or 0) > now
if known and ARGV[4] == '1' then return 0 end
redis.call('HSET', key, 'weight_limit', ARGV[1], 'request_limit', ARGV[2],
    'limits_until', string.format('%.0f', now + ARGV[3]))
keep(tonumber(ARGV[3]))
return 1
"""
)

# ARGV: ms for which nobody else is to ask. Returns 1 if the caller is to ask for the limits.
ASK_LIMITS = (
    _START
    + """
local known, asked = unpack(redis.call('HMGET', key, 'limits_until', 'limits_asked'))
known, asked = tonumber(known or 0) or 0, tonumber(asked or 0) or 0
if known > now or (asked <= now and now - asked < tonumber(ARGV[1])) then return 0 end
redis.call('HSET', key, 'limits_asked', string.format('%.0f', now))
keep(__IDLE__)
return 1
"""
)

# ARGV: held_until or banned_until, milliseconds from now. Never shortens what is already there.
SHUT_HOST = (
    _START
    + """
local before = tonumber(redis.call('HGET', key, ARGV[1]) or 0) or 0
if before - now > __LONGEST__ then before = 0 end -- none of ours
local until_ms = math.max(now + ARGV[2], before)
redis.call('HSET', key, ARGV[1], string.format('%.0f', until_ms))
keep(until_ms - now + __IDLE__)
return until_ms
"""
)

# ARGV: the least and the most ms of a pause.
# Returns {ms of such pauses before this one, 1 if the host had answered meanwhile, ms to wait now}.
TURN_AWAY = (
    _STATE
    + """
local held = left('held_until')
if refused > 0 and held > 0 then return {sat_out(), 0, 0} end -- it went out before the pause
local pause = math.max(ARGV[1], math.min(refused, ARGV[2]))
local until_ms = now + math.max(pause, held)
redis.call('HDEL', key, 'trying_until')
redis.call('HSET', key, 'refused_ms', string.format('%.0f', refused + pause),
    'held_until', string.format('%.0f', until_ms))
keep(until_ms - now + __IDLE__)
return {refused, refused == 0 and 1 or 0, pause}
"""
)

# An answer to what went out before the pause says nothing.
ANSWERED = (
    _STATE
    + """
if left('held_until') == 0 then redis.call('HDEL', key, 'refused_ms', 'trying_until') end
"""
)


class Turn(NamedTuple):
    """Whether a call may go out now, and what holds it back.

    `turned_away`: a firewall turns this address away; `sat_out_ms` was waited for that in vain.
    """

    wait_ms: int
    held_ms: int
    banned_until_ms: int
    turned_away: bool
    sat_out_ms: int
    counted_ms: int = 0  # when it was counted as gone, by Redis's clock


class Pacer(ABC):
    """Lets calls to one host through at the pace it allows. Threads may share it.

    `batch_size` is how many calls may be under way at once, None where weight alone decides.
    `ask_limits`, where somebody sets it, asks the exchange for its limits: it is called when a call
    would have to wait for a budget that nobody knows.
    """

    batch_size: int | None = None
    ask_limits: Callable[[], None] | None = None

    def __init__(self, redis: Redis, host: str):
        self.host = host
        self._key = keys.pacing(host)
        self._redis = redis
        self._closing = threading.Event()
        self._shut_host = self._script(SHUT_HOST)
        self._turn_away = self._script(TURN_AWAY)
        self._answered = self._script(ANSWERED)
        self._turned_away = False

    def wait_turn(self, weight: int, lane: Lane | None) -> int:
        """Wait until a call of `weight` may go out, and count it as gone.

        Return what `take_back` takes.

        Without a lane it waits for no budget: it goes out to ask how large that is. Raises Banned
        while the host bans this address, Paused where it asked for a pause too long to sit out,
        TurnedAway where a firewall's page was waited out for minutes, Temporary once the pacer is
        closed.
        """
        delay = 0.0
        while True:
            self.sleep(delay)
            turn = self._take(weight, lane)
            self._turned_away = turn.turned_away
            if turn.banned_until_ms:
                raise Banned(self.host, turn.banned_until_ms)
            if turn.held_ms > LONGEST_HOLD_SECONDS * 1000:
                seconds = turn.held_ms / 1000
                raise Paused(
                    f"{self.host} asked for a pause of {seconds:.0f} s: run this again after it",
                    seconds,
                )
            if not turn.wait_ms:
                return turn.counted_ms
            if turn.turned_away and turn.sat_out_ms >= TURNED_AWAY_SECONDS * 1000:
                raise TurnedAway(self.host, turn.sat_out_ms / 1000)
            delay = turn.wait_ms / 1000 + random.uniform(0, 0.02)
            if self.ask_limits and lane and not turn.held_ms and not self.limits_known():
                self.ask_limits()
                delay = min(delay, SECONDS_BETWEEN_LOOKS)

    @abstractmethod
    def take_back(self, counted_ms: int, weight: int) -> None:
        """Count a call as not gone, which never left this machine. Raises RedisError."""

    def hold(self, seconds: float) -> None:
        """Let nobody call the host for `seconds`, as it asked (HTTP 429)."""
        logger.warning("pacing.hold host=%s seconds=%.1f", self.host, seconds)
        self._shut_host(keys=[self._key], args=["held_until", _ms(seconds)])

    def ban(self, seconds: float) -> Banned:
        """Let nobody call the host for `seconds`, as it demands (HTTP 418); return the error."""
        until_ms = self._shut_host(keys=[self._key], args=["banned_until", _ms(seconds)])
        logger.error("pacing.banned host=%s seconds=%.0f", self.host, seconds)
        return Banned(self.host, int(until_ms))

    def turn_away(self, seconds: float) -> TurnedAway:
        """Let nobody call the host for a while, as a firewall turns this address away.

        Return the error, whose `seconds` are those of all pauses before. Each pause in a row is as
        long as those before together, `seconds` at the least and a minute at the most; after it one
        call at a time tries again.
        """
        arguments = [_ms(seconds), LONGEST_PAUSE_SECONDS * 1000]
        before_ms, begins, pause_ms = map(int, self._turn_away(keys=[self._key], args=arguments))
        self._turned_away = True
        if pause_ms:
            logger.warning("pacing.turned_away host=%s seconds=%.1f", self.host, pause_ms / 1000)
        lasts = before_ms >= TURNED_AWAY_SECONDS * 1000
        return TurnedAway(self.host, before_ms / 1000, begins=bool(begins), lasts=lasts)

    def answered(self) -> None:
        """Take note that the host, and no firewall, has answered."""
        if self._turned_away:
            self._answered(keys=[self._key])

    def sleep(self, seconds: float) -> None:
        """Wait; Temporary at once when the pacer is closed, so nobody waits for a sleeper."""
        if self._closing.wait(seconds):
            raise Temporary(f"stopped before {self.host} was called")

    def close(self) -> None:
        """Wake and refuse everyone who waits."""
        self._closing.set()

    def observe_weight(self, used: int) -> None:  # noqa: B027  only some pacers count weight
        """Take note of the weight that the exchange says this address has used in its minute."""

    def limits_known(self) -> bool:
        """Return False where the published limits are wanted and were not seen lately."""
        return True

    def should_ask_limits(self) -> bool:
        """Tell, one of all processes, to ask for the limits: nobody knows them or asked lately."""
        return False

    def set_limits(self, limits: Limits) -> None:  # noqa: B027
        """Take note of the limits that the exchange publishes."""

    def assume_limits(self) -> bool:
        """Keep to cautious limits, as those that are published can't be understood.

        Return whether that is new to all processes: False where limits are known already.
        """
        return False

    @abstractmethod
    def seconds_for(self, calls: int, weight: int) -> float:
        """Return how long `calls` more calls of `weight` take at the very least."""

    @abstractmethod
    def _take(self, weight: int, lane: Lane | None) -> Turn:
        """Count a call if it may go now."""

    def _script(self, text: str):
        for name, value in _IN_SCRIPTS.items():
            text = text.replace(name, str(value))
        script = self._redis.register_script(text)

        def call(**arguments: Any) -> Any:
            try:
                return script(**arguments)
            except ResponseError as error:
                value_or_error(error)  # a ban may be what nobody can read: nothing goes out
                kind: Any = self._redis.type(self._key)
                raise Unreadable(of_type(self._key, kind.decode(), "hash"), self._key) from error

        return call


class BatchPacer(Pacer):
    """A number of calls, then a pause: for an exchange whose limits we don't know."""

    batch_size: int

    def __init__(self, redis: Redis, host: str, batch_size: int, batch_delay_ms: int):
        super().__init__(redis, host)
        self.batch_size = batch_size
        self._delay_ms = batch_delay_ms
        self._take_batch = self._script(TAKE_BATCH)
        self._take_back = self._script(TAKE_BACK_BATCH)

    def seconds_for(self, calls: int, weight: int) -> float:
        return max(0, -(-calls // self.batch_size) - 1) * self._delay_ms / 1000

    def _take(self, weight: int, lane: Lane | None) -> Turn:
        arguments = [self.batch_size, self._delay_ms, int(lane is not Lane.BACKFILL)]
        return _turn(self._take_batch(keys=[self._key], args=arguments))

    def take_back(self, counted_ms: int, weight: int) -> None:
        self._take_back(keys=[self._key], args=[counted_ms])


class WeightPacer(Pacer):
    """As fast as the exchange's published request weight allows, less a fifth."""

    def __init__(self, redis: Redis, host: str, until_known: Limits):
        super().__init__(redis, host)
        self._until_known = until_known
        self._used = 0
        self._allowed = int(SHARE_OF_LIMIT * until_known.weight_per_minute)
        self._take_weight = self._script(TAKE_WEIGHT)
        self._take_back = self._script(TAKE_BACK_WEIGHT)
        self._known = False
        self._observe = self._script(OBSERVE)
        self._set_limits = self._script(SET_LIMITS)
        self._ask_limits = self._script(ASK_LIMITS)

    def observe_weight(self, used: int) -> None:
        if used > self._used:  # else there is nothing that we don't count already
            self._observe(keys=[self._key], args=[used])

    def limits_known(self) -> bool:
        return self._known

    def should_ask_limits(self) -> bool:
        return bool(self._ask_limits(keys=[self._key], args=[ASKED_LATELY_MS]))

    def set_limits(self, limits: Limits) -> None:
        self._keep_to(limits, assumed=False)

    def assume_limits(self) -> bool:
        return self._keep_to(self._until_known, assumed=True)

    def _keep_to(self, limits: Limits, assumed: bool) -> bool:
        arguments = [
            limits.weight_per_minute,
            limits.requests_per_5_minutes,
            LIMITS_BELIEVED_MS,
            int(assumed),
        ]
        self._known = True
        return bool(self._set_limits(keys=[self._key], args=arguments))

    def seconds_for(self, calls: int, weight: int) -> float:
        if not self._known and (limit := self._limit()):
            self._allowed = int(SHARE_OF_LIMIT * limit)
        # What is used up comes back when it is a minute old, all of it more or less at once.
        free = max(0, self._allowed - self._used)
        return 60.0 * ceil(max(0, calls * weight - free) / max(self._allowed, 1))

    def _limit(self) -> int | None:
        return read_usage(self._redis, self.host).weight_limit

    def _take(self, weight: int, lane: Lane | None) -> Turn:
        arguments = [
            weight,
            SHARE_OF_LIMIT * lane.value if lane else "",
            self._until_known.weight_per_minute,
            self._until_known.requests_per_5_minutes,
        ]
        reply = self._take_weight(keys=[self._key], args=arguments)
        *turn, self._used, self._allowed, known = reply
        self._known = bool(known)
        return _turn(turn)

    def take_back(self, counted_ms: int, weight: int) -> None:
        self._used = self._take_back(keys=[self._key], args=[counted_ms, weight])


def _turn(reply: Sequence[int]) -> Turn:
    wait_ms, held_ms, banned_until_ms, turned_away, *others = map(int, reply)
    return Turn(wait_ms, held_ms, banned_until_ms, bool(turned_away), *others)


@dataclass(frozen=True, slots=True)
class Usage:
    """What went to a host lately, and what holds calls to it back.

    `weight` is that of the last minute, `weight_limit` what the host allows in one: both None
    where no weight is kept. `held_ms` and `banned_ms` are how long nothing may go out, 0 for none,
    `banned_until_ms` when a ban ends, in UTC epoch ms.
    `refused_ms` are the pauses in a row for a firewall that turns this address away, 0 for none.
    """

    weight: int | None
    weight_limit: int | None
    held_ms: int
    banned_ms: int
    refused_ms: int = 0
    banned_until_ms: int = 0


def read_usage(redis: Redis, host: str) -> Usage:
    """Return what all processes that use this Redis have used up of a host, changing nothing."""
    pipe = redis.pipeline(transaction=False)
    pipe.hgetall(keys.pacing(host))
    pipe.time()
    stored, (seconds, microseconds) = map(value_or_error, pipe.execute(raise_on_error=False))
    if isinstance(stored, Exception):  # who wants to call says so
        tell_once(logger, keys.pacing(host), "it is no hash")
        return Usage(None, None, 0, 0)
    now_ms = 1000 * seconds + microseconds // 1000
    fields = {name: int(text) for name, text in stored.items() if _is_whole(text)}
    weights = {  # by second, as _BUDGET counts them: a 60th of a minute
        int(second): amount
        for name, amount in fields.items()
        if name.startswith(b"weight:") and _is_whole(second := name.removeprefix(b"weight:"))
    }
    limit = fields.get(b"weight_limit")
    used = sum(amount for second, amount in weights.items() if 0 <= seconds - second <= 60)
    held_until_ms = fields.get(b"held_until", 0)
    is_recent = now_ms - held_until_ms <= IDLE_MS
    return Usage(
        used if weights or limit else None,
        limit or None,
        _left_ms(held_until_ms, now_ms),
        _left_ms(fields.get(b"banned_until", 0), now_ms),
        fields.get(b"refused_ms", 0) if is_recent else 0,
        fields.get(b"banned_until", 0),
    )


def _is_whole(text: bytes) -> bool:
    return len(text) < LONGEST_WHOLE and text.isdigit()


def _left_ms(until_ms: int, now_ms: int) -> int:
    """Return how long something lasts; nothing lasts longer than the longest ban."""
    left_ms = until_ms - now_ms
    return max(0, left_ms) if left_ms <= 1000 * LONGEST_BAN_SECONDS else 0


def host_of(url: str) -> str:
    """Return the host whose limits calls to `url` use up, without the port its scheme implies."""
    address = urlsplit(url)
    usual = {"https": 443, "http": 80}.get(address.scheme)
    host = address.hostname or ""
    return host if address.port in (None, usual) else f"{host}:{address.port}"


def _ms(seconds: float) -> int:
    return round(1000 * min(seconds, LONGEST_BAN_SECONDS))
