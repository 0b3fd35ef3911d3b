"""Each script of the lock alone, by its file."""

import json

import pytest
from redis.exceptions import ResponseError

from exchanges.lock.acquire import LARGEST_EPOCH
from exchanges.lock.control import ENTRIES_KEPT
from exchanges.redis.scripts import load_script

FENCE = load_script("exchanges/lock/lua/fence.lua")
SET_AND_PUBLISH = load_script("exchanges/lock/lua/set_and_publish.lua")
READ_LOCK = load_script("exchanges/lock/lua/read_lock.lua")
RENEW = load_script("exchanges/lock/lua/renew.lua")
RELEASE = load_script("exchanges/lock/lua/release.lua")
END_ABANDONED = load_script("exchanges/lock/lua/end_abandoned.lua")
WRITE_STATUS = load_script("exchanges/lock/lua/write_status.lua")
ACQUIRE = load_script("exchanges/lock/lua/acquire.lua", {"LARGEST_EPOCH": LARGEST_EPOCH})
FETCH = load_script("exchanges/lock/lua/fetch_commands.lua")
PROGRESS = load_script("exchanges/lock/lua/tell_progress.lua")
FINISH = load_script("exchanges/lock/lua/finish_command.lua", {"ENTRIES_KEPT": ENTRIES_KEPT})

LOCK = '{"instanceId":"mine"}'
NO_LOCKS = ["no JSON", "[]", "5", '"mine"', "{}"]


def fenced(redis, epoch):
    """Return what the fence says to a writer: None where it lets it through."""
    text = f"{FENCE.text}\nreturn fence(KEYS[1], ARGV[1])"
    return redis.eval(text, 1, "epoch", epoch)


def received(redis, channel):
    """Return a function that returns the messages of a channel since."""
    listener = redis.pubsub(ignore_subscribe_messages=True)
    listener.subscribe(channel)
    listener.get_message(timeout=5)

    def told():
        redis.publish(channel, "end")
        found = []
        while not found or found[-1] != b"end":
            message = listener.get_message(timeout=5)
            if message:
                found.append(message["data"])
        return found[:-1]

    return told


# fence.lua, set_and_publish.lua


@pytest.mark.parametrize("epoch", ["7", ""])
def test_the_fence_lets_the_current_epoch_and_who_needs_no_lock_through(redis, epoch):
    redis.set("epoch", 7)
    assert fenced(redis, epoch) is None


@pytest.mark.parametrize("current", ["8", "6", "07", None])
def test_the_fence_stops_every_other_epoch(redis, current):
    if current:
        redis.set("epoch", current)
    with pytest.raises(ResponseError, match="FENCED epoch 7 is not the current one") as refused:
        fenced(redis, 7)
    assert str(refused.value).endswith(current or "there is none")


def test_the_fence_stops_who_finds_no_epoch_but_a_key_of_another_type(redis):
    redis.hset("epoch", "7", "7")
    with pytest.raises(ResponseError, match="there is none"):
        fenced(redis, 7)
    assert fenced(redis, "") is None


def fenced_with_lock(redis, stamp):
    text = f"{FENCE.text}\nreturn fence(KEYS[1], ARGV[1])"
    return redis.eval(text, 2, "epoch", "lock", stamp)


@pytest.mark.parametrize("lock", [LOCK, None], ids=["its own", "nobody's"])
def test_the_fence_lets_the_lock_s_holder_through(redis, lock):
    redis.mset({name: value for name, value in [("epoch", 7), ("lock", lock)] if value})
    assert fenced_with_lock(redis, "7:mine") is None


TAKEN = '{"instanceId":"theirs","epoch":7,"replaces":"mine","before":{"id":"mine"}}'


@pytest.mark.parametrize("lock", [TAKEN, '{"instanceId":"theirs","epoch":7}', "no JSON", "hash"])
def test_of_two_with_the_same_epoch_the_fence_stops_who_has_not_the_lock(redis, lock):
    redis.set("epoch", 7)
    if lock == "hash":
        redis.hset("lock", "a", "b")
    else:
        redis.set("lock", lock)
    with pytest.raises(ResponseError, match="FENCED epoch 7 is another holder's too"):
        fenced_with_lock(redis, "7:mine")


def test_the_fence_stops_another_epoch_whoever_has_the_lock(redis):
    redis.mset({"epoch": 8, "lock": LOCK})
    with pytest.raises(ResponseError, match="FENCED epoch 7 is not the current one, 8"):
        fenced_with_lock(redis, "7:mine")


@pytest.mark.parametrize("epoch", [7, ""])
def test_a_value_is_set_and_told(redis, epoch):
    redis.set("epoch", 7)
    told = received(redis, "notifications")
    assert (
        SET_AND_PUBLISH(redis, ["value", "epoch"], [epoch, "new", "notifications", "look"]) is None
    )
    assert redis.get("value") == b"new"
    assert told() == [b"look"]


def test_a_late_value_is_neither_set_nor_told(redis):
    redis.mset({"epoch": 8, "value": "newer"})
    told = received(redis, "notifications")
    with pytest.raises(ResponseError, match="FENCED epoch 7"):
        SET_AND_PUBLISH(redis, ["value", "epoch"], [7, "late", "notifications", "look"])
    assert redis.get("value") == b"newer"
    assert told() == []


def test_a_value_takes_the_place_of_another_type(redis):
    redis.hset("value", "a", "b")
    SET_AND_PUBLISH(redis, ["value", "epoch"], ["", "new", "notifications", "look"])
    assert redis.get("value") == b"new"


# read_lock.lua


@pytest.mark.parametrize(
    ("stored", "said"), [(LOCK, [LOCK, "mine"]), *[(each, [each, None]) for each in NO_LOCKS]]
)
def test_a_lock_says_whose_it_is_and_what_is_none_says_nobody(redis, stored, said):
    redis.set("lock", stored)
    text = f"{READ_LOCK.text}\nlocal lock = lock_at(KEYS[1]) return {{lock, id_in(lock)}}"
    lock, *who = redis.eval(text, 1, "lock")
    assert [lock.decode(), who[0].decode() if who and who[0] else None] == said


@pytest.mark.parametrize(("kind", "said"), [("none", None), ("hash", b"")])
def test_no_lock_is_told_from_a_key_of_another_type(redis, kind, said):
    if kind == "hash":
        redis.hset("lock", "a", "b")
    assert redis.eval(f"{READ_LOCK.text}\nreturn lock_at(KEYS[1])", 1, "lock") == said


# acquire.lua


def acquire(redis, holder="mine", of="", ttl_ms=45_000, above=0):
    said, text = ACQUIRE(
        redis, ["lock", "epoch", "status"], [json.dumps({"instanceId": holder}), ttl_ms, of, above]
    )
    return said, text if said < 0 else json.loads(text)


def test_a_free_lock_is_taken_with_the_time_as_the_first_epoch(redis):
    redis.set("status", "of the one before")
    before_ms = redis.time()[0] * 1000
    said, lock = acquire(redis)
    assert said == 1
    assert before_ms <= lock["connectedSince"] < before_ms + 60_000
    assert lock["epoch"] == lock["connectedSince"] + 1 == int(redis.get("epoch"))
    assert json.loads(redis.get("lock")) == lock
    assert 0 < redis.pttl("lock") <= 45_000
    assert not redis.exists("status")


def test_a_lock_tells_who_spoke_last_before_it_and_in_which_state_that_was(redis):
    redis.set("status", '{"instanceId":"theirs","state":"stopped","hostname":"a"}')
    assert acquire(redis)[1]["before"] == {"id": "theirs", "state": "stopped"}


@pytest.mark.parametrize(
    "status", [*NO_LOCKS, '{"instanceId":"a"}', '{"instanceId":null,"state":"active"}', None, 5]
)
def test_a_lock_tells_nothing_of_who_said_nothing_that_can_be_read(redis, status):
    if status == 5:
        redis.rpush("status", status)
    elif status:
        redis.set("status", status)
    assert "before" not in acquire(redis)[1]


def test_an_epoch_that_is_ahead_of_the_time_goes_up_by_one(redis):
    redis.set("epoch", 10**13)
    assert acquire(redis)[1]["epoch"] == 10**13 + 1 == int(redis.get("epoch"))


@pytest.mark.parametrize("left", ["41", None], ids=["an old one is left", "none is left"])
def test_an_epoch_is_never_below_the_time_whatever_redis_lost(redis, left):
    if left:
        redis.set("epoch", left)
    lock = acquire(redis)[1]
    assert lock["epoch"] >= lock["connectedSince"]


def test_an_epoch_is_above_one_that_redis_lost_and_who_asks_remembers(redis):
    redis.set("epoch", 41)
    assert acquire(redis, above=10**13)[1]["epoch"] == 10**13 + 1
    redis.delete("lock")
    assert acquire(redis, above=10**12)[1]["epoch"] == 10**13 + 2


def test_who_has_the_lock_already_is_told_the_same(redis):
    first = acquire(redis)
    assert acquire(redis) == first


def test_a_lock_is_taken_from_the_one_that_is_named_alone(redis):
    _, theirs = acquire(redis, "theirs")
    redis.set("status", "theirs")
    assert acquire(redis) == (0, theirs)
    assert acquire(redis, of="another") == (0, theirs)
    assert redis.get("status") == b"theirs"
    said, lock = acquire(redis, of="theirs")
    assert said == 1
    assert lock["epoch"] == max(theirs["epoch"] + 1, lock["connectedSince"])
    assert not redis.exists("status")


@pytest.mark.parametrize("stored", NO_LOCKS)
def test_a_lock_that_cannot_be_read_is_somebodys(redis, stored):
    redis.set("lock", stored)
    script = ACQUIRE(redis, ["lock", "epoch", "status"], ['{"instanceId":"mine"}', 1000, ""])
    assert script == [0, stored.encode()]
    assert not redis.exists("epoch")


def test_a_lock_of_another_type_is_somebodys(redis):
    redis.hset("lock", "a", "b")
    keys, arguments = ["lock", "epoch", "status"], ['{"instanceId":"mine"}', 1000, ""]
    assert ACQUIRE(redis, keys, arguments) == [0, b""]


@pytest.mark.parametrize("epoch", ["many", "-1", "1.5", str(LARGEST_EPOCH)])
def test_nobody_begins_under_an_epoch_that_cannot_be_counted_on(redis, epoch):
    redis.set("epoch", epoch)
    assert acquire(redis) == (-1, b"string")
    assert redis.get("epoch") == epoch.encode()
    assert not redis.exists("lock")


def test_an_epoch_of_another_type_is_named(redis):
    redis.rpush("epoch", 1)
    assert acquire(redis) == (-1, b"list")


# renew.lua, release.lua, write_status.lua


def test_a_lock_is_renewed_under_its_own_epoch(redis):
    redis.mset({"lock": LOCK, "epoch": 7})
    assert RENEW(redis, ["lock", "epoch"], ["mine", 7, 5000]) == [1, LOCK.encode()]
    assert 0 < redis.pttl("lock") <= 5000


@pytest.mark.parametrize(
    ("lock", "epoch"),
    [(LOCK, 8), (LOCK, None), ('{"instanceId":"theirs"}', 7), ("no JSON", 7), (None, 7)],
)
def test_what_is_not_its_holders_is_not_renewed(redis, lock, epoch):
    redis.mset({name: value for name, value in [("lock", lock), ("epoch", epoch)] if value})
    said = lock and lock.encode()
    assert RENEW(redis, ["lock", "epoch"], ["mine", 7, 5000]) == [0, said]
    assert redis.pttl("lock") < 0


def test_keys_of_another_type_renew_nothing(redis):
    redis.hset("lock", "a", "b")
    redis.hset("epoch", "a", "b")
    assert RENEW(redis, ["lock", "epoch"], ["mine", 7, 5000]) == [0, b""]
    redis.delete("lock")
    redis.set("lock", LOCK)
    assert RENEW(redis, ["lock", "epoch"], ["mine", 7, 5000]) == [0, LOCK.encode()]


def test_a_lock_is_given_back_and_told(redis):
    redis.set("lock", LOCK)
    told = received(redis, "notifications")
    assert RELEASE(redis, ["lock"], ["mine", "notifications", "look", "waiting"]) is None
    assert not redis.exists("lock")
    assert told() == [b"look"]


@pytest.mark.parametrize("lock", ['{"instanceId":"theirs"}', "no JSON", None])
def test_nobody_gives_back_what_is_not_his(redis, lock):
    if lock:
        redis.set("lock", lock)
    told = received(redis, "notifications")
    RELEASE(redis, ["lock"], ["mine", "notifications", "look", "waiting"])
    assert redis.get("lock") == (lock and lock.encode())
    assert told() == []


def test_a_lock_of_another_type_is_left(redis):
    redis.hset("lock", "a", "b")
    RELEASE(redis, ["lock"], ["mine", "notifications", "look", "waiting"])
    assert redis.type("lock") == b"hash"


def test_a_status_is_written_under_the_current_epoch_and_told(redis):
    redis.set("epoch", 7)
    told = received(redis, "notifications")
    WRITE_STATUS(redis, ["status", "epoch"], ["{}", 7, 5000, "notifications", "look"])
    assert redis.get("status") == b"{}"
    assert 0 < redis.pttl("status") <= 5000
    assert told() == [b"look"]


@pytest.mark.parametrize("epoch", ["8", None])
def test_a_late_status_is_neither_written_nor_told(redis, epoch):
    if epoch:
        redis.set("epoch", epoch)
    told = received(redis, "notifications")
    assert (
        WRITE_STATUS(redis, ["status", "epoch"], ["{}", 7, 5000, "notifications", "look"]) is None
    )
    assert not redis.exists("status")
    assert told() == []


def test_no_status_is_written_beside_an_epoch_of_another_type(redis):
    redis.hset("epoch", "7", "7")
    WRITE_STATUS(redis, ["status", "epoch"], ["{}", 7, 5000, "notifications", "look"])
    assert not redis.exists("status")


# fetch_commands.lua, tell_progress.lua, finish_command.lua


@pytest.fixture
def stream(redis):
    """Return the keys of a stream under the epoch 7."""
    redis.set("epoch", 7)
    return ["stream", "epoch"]


def command(redis, message="{}"):
    return redis.xadd("stream", {"kind": "command", "message": message})


def messages(redis):
    return [fields[b"message"] for _, fields in redis.xrange("stream")]


def test_a_stream_that_is_not_there_is_made_and_holds_nothing(redis, stream):
    pending, new, last, now_ms = FETCH(redis, stream, [7])
    assert (pending, new, last) == ([], [], b"0")
    assert now_ms // 1000 == pytest.approx(redis.time()[0], abs=60)
    assert redis.xinfo_groups("stream")[0]["name"] == b"holder"


def test_what_is_new_becomes_pending_and_comes_again(redis, stream):
    entry = command(redis)
    fields = [b"kind", b"command", b"message", b"{}"]
    pending, new, last, _ = FETCH(redis, stream, [7])
    assert (pending, new, last) == ([[entry, fields]], [entry], entry)
    pending, new, last, _ = FETCH(redis, stream, [7])
    assert (pending, new, last) == ([[entry, fields]], [], entry)


def test_progress_takes_the_place_of_what_was_told_before(redis, stream):
    first = PROGRESS(redis, stream, [7, "1 of 2", ""])
    second = PROGRESS(redis, stream, [7, "2 of 2", first])
    assert redis.xrange("stream") == [(second, {b"kind": b"reply", b"message": b"2 of 2"})]


def test_a_command_is_finished_once(redis, stream):
    entry = command(redis, "do it")
    FETCH(redis, stream, [7])
    progress = PROGRESS(redis, stream, [7, "1 of 2", ""])
    for _ in range(2):
        assert FINISH(redis, stream, [7, "done", entry, progress]) is None
    assert messages(redis) == [b"do it", b"done"]
    assert FETCH(redis, stream, [7])[0] == [[redis.xrange("stream")[1][0], [
        b"kind", b"reply", b"message", b"done"]]]  # fmt: skip


def test_a_command_that_is_not_pending_is_not_answered(redis, stream):
    FETCH(redis, stream, [7])
    entry = command(redis, "do it")
    FINISH(redis, stream, [7, "done", entry, ""])
    assert messages(redis) == [b"do it"]


def test_a_command_may_end_without_a_reply(redis, stream):
    entry = command(redis, "do it")
    FETCH(redis, stream, [7])
    FINISH(redis, stream, [7, "", entry, ""])
    assert messages(redis) == [b"do it"]
    assert FETCH(redis, stream, [7])[0] == []


def test_old_entries_go_when_a_reply_comes(redis, stream):
    for _ in range(2 * ENTRIES_KEPT):
        entry = command(redis)
    FETCH(redis, stream, [7])
    FINISH(redis, stream, [7, "done", entry, ""])
    assert ENTRIES_KEPT <= redis.xlen("stream") < 2 * ENTRIES_KEPT


CALLS = [(FETCH, [7]), (PROGRESS, [7, "1 of 2", ""]), (FINISH, [7, "done", "1-1", ""])]


@pytest.mark.parametrize(("script", "arguments"), CALLS)
def test_commands_are_nothing_to_who_had_the_exchange_before(redis, stream, script, arguments):
    command(redis)
    redis.set("epoch", 8)
    with pytest.raises(ResponseError, match="FENCED epoch 7"):
        script(redis, stream, arguments)
    assert redis.xlen("stream") == 1
    assert redis.xinfo_groups("stream") == []


@pytest.mark.parametrize(("script", "arguments"), CALLS)
def test_a_stream_of_another_type_is_an_error(redis, stream, script, arguments):
    redis.set("stream", "text")
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        script(redis, stream, arguments)


# end_abandoned.lua


def test_the_lock_of_one_that_is_gone_is_ended_and_those_who_wait_are_told(redis):
    redis.set("lock", LOCK, px=5000)
    told = received(redis, "waiting")
    assert END_ABANDONED(redis, ["lock"], ["mine", 5000, "waiting"]) == 1
    assert redis.get("lock") is None
    assert told() == [b"abandoned"]


@pytest.mark.parametrize(
    ("lock", "px", "who", "most"),
    [
        (LOCK, 5000, "another", 5000),
        (LOCK, 5000, "mine", 1000),  # it was renewed meanwhile
        (LOCK, None, "mine", 5000),  # none of ours: it never ends
        ("no JSON", 5000, "mine", 5000),
    ],
)
def test_any_other_lock_stays(redis, lock, px, who, most):
    redis.set("lock", lock, px=px)
    told = received(redis, "waiting")
    assert END_ABANDONED(redis, ["lock"], [who, most, "waiting"]) == 0
    assert redis.get("lock") == lock.encode()
    assert told() == []
