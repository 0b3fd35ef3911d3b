"""What clients have a server do is seen as it was done."""

from tests.conftest import SERVER
from tests.naming.commands import calls, recorded, spread


def test_keys_of_several_slots_are_seen_wherever_they_are(redis):
    def done(act):
        with recorded(SERVER.url) as found:
            act()
        return {frozenset(keys) for _, keys in spread(calls(redis, found))}

    def transaction():
        pipe = redis.pipeline(transaction=True)
        pipe.get("a").get("b").get("{a}1").execute()

    assert done(lambda: redis.mget("a", "{a}1")) == set()
    assert done(lambda: redis.mget("a", "b")) == {frozenset((b"a", b"b"))}
    assert done(transaction) == {frozenset((b"a", b"b", b"{a}1"))}
    text = "redis.call('GET', KEYS[1]) return redis.call('GET', 'b')"
    assert done(lambda: redis.eval(text, 1, "a")) == {frozenset((b"a", b"b"))}
