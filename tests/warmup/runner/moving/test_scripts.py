"""Each script of a move alone, by its file."""

from exchanges.redis.scripts import load_script

CLAIM = load_script("warmup/runner/moving/lua/claim.lua")
END_CLAIM = load_script("warmup/runner/moving/lua/end_claim.lua")


def claim(redis, text, kept_ms=5000):
    return CLAIM(redis, ["successor"], [text, kept_ms, "notifications", "look"])


def end_claim(redis, text):
    return END_CLAIM(redis, ["successor"], [text, "notifications", "look"])


def told(redis, *works):
    """Return how many messages come of something."""
    with redis.pubsub(ignore_subscribe_messages=True) as listener:
        listener.subscribe("notifications")
        listener.get_message(timeout=5)
        for work in works:
            work()
        redis.publish("notifications", "end")
        messages = iter(lambda: listener.get_message(timeout=5)["data"], b"end")
        return len(list(messages))


# claim.lua


def test_one_claims_and_goes_on_to_and_nobody_else(redis):
    assert claim(redis, "one", 1000) == 1
    assert claim(redis, "other") == 0
    assert redis.pttl("successor") <= 1000
    assert claim(redis, "one") == 1
    assert redis.pttl("successor") > 1000
    assert redis.get("successor") == b"one"


def test_a_claim_is_told_once(redis):
    once = told(redis, lambda: claim(redis, "one"), lambda: claim(redis, "one"))
    assert once == 1
    assert told(redis, lambda: claim(redis, "other")) == 0


def test_a_key_of_another_type_is_somebodys(redis):
    redis.hset("successor", "a", "b")
    assert claim(redis, "one") == 0
    assert redis.type("successor") == b"hash"


# end_claim.lua


def test_a_claim_ends_and_that_is_told(redis):
    claim(redis, "one")
    assert told(redis, lambda: end_claim(redis, "one"), lambda: end_claim(redis, "one")) == 1
    assert not redis.exists("successor")


def test_who_has_lost_its_claim_leaves_that_of_another(redis):
    claim(redis, "other")
    assert told(redis, lambda: end_claim(redis, "one")) == 0
    assert redis.get("successor") == b"other"


def test_a_key_of_another_type_is_left(redis):
    redis.hset("successor", "a", "b")
    end_claim(redis, "one")
    assert redis.type("successor") == b"hash"
