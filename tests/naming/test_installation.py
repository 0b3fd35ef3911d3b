"""A second installation behind one Redis is noticed, and several machines of one are not."""

import logging
import re
import time

import orjson
import pytest
import redis as redis_client

from exchanges.redis.installation import Announcer, announce, installation_id, warnings
from livermore import checks
from livermore.market import keys
from livermore.market.naming import Naming, current, name_as
from tests.conftest import SERVER
from tests.livermore.databases import manage, run_python
from tests.warmup.network.operators import person
from warmup.runner.agent import Agent

OURS, OTHERS = "0123", "4567"
ASK = """
import django; django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
from exchanges.redis.installation import installation_id
print(installation_id())
"""


@pytest.fixture
def named():
    before = current()
    yield lambda *naming: name_as(Naming(*naming))
    name_as(before)


@pytest.fixture
def beside():
    """Return a client of another database of the same server, which is empty."""
    with redis_client.Redis.from_url(SERVER.url.replace("db=0", "db=3")) as client:
        assert client.connection_pool.connection_kwargs["db"] == 3
        yield client
        client.flushdb()


def test_one_that_is_alone_is_warned_of_nothing(redis):
    assert warnings(redis, OURS) == []
    announce(redis, OURS)
    announce(redis, OURS)  # another machine
    assert warnings(redis, OURS) == []


def test_another_one_under_the_same_names_is_told_with_what_to_do(redis):
    announce(redis, OTHERS)
    announce(redis, OURS)
    (text,) = warnings(redis, OURS)
    assert "Another installation (seen 0 s ago on " in text
    assert "LIVERMORE_KEY_PREFIX" in text
    redis.execute_command(*re.search("redis-cli (HDEL .*)$", text)[1].split())
    assert warnings(redis, OURS) == []


def test_who_has_another_prefix_is_none_of_ours(redis, named):
    announce(redis, OTHERS)
    named("lm:")
    announce(redis, OURS)
    assert warnings(redis, OURS) == []


def test_one_in_another_database_shares_the_channels(redis, beside, named):
    announce(beside, OTHERS)
    (text,) = warnings(redis, OURS)
    assert "in database 3 of this Redis server" in text
    assert "receives the other's messages" in text
    named("lm:")
    assert warnings(redis, OURS) == []


def test_what_this_installation_left_in_another_database_is_nobody(redis, beside):
    announce(beside, OURS)
    assert warnings(redis, OURS) == []


def test_names_with_tags_and_without_them_in_one_installation_are_told(redis, named):
    announce(redis, OURS)
    named("", True)
    (text,) = warnings(redis, OURS)
    assert "LIVERMORE_KEY_TAGS" in text


def test_one_that_was_not_seen_for_a_day_is_forgotten(redis):
    announce(redis, OTHERS)
    ((field, said),) = redis.hgetall(keys.installation()).items()
    old = orjson.loads(said) | {"seenAt": int(1000 * time.time()) - 86_401_000}
    redis.hset(keys.installation(), field, orjson.dumps(old))
    assert warnings(redis, OURS) == []
    announce(redis, OURS)
    assert redis.hkeys(keys.installation()) == [OURS.encode()]


@pytest.mark.parametrize("text", ["", "x", "[]", '{"id":5}', '{"id":"a","hostname":"b"}'])
def test_what_is_no_installation_is_passed_over_and_goes(redis, text):
    redis.hset(keys.installation(), "x", text)
    assert warnings(redis, OURS) == []
    announce(redis, OURS)
    assert redis.hkeys(keys.installation()) == [OURS.encode()]


def test_something_else_under_that_name_stops_nobody(redis, db):
    redis.set(keys.installation(), "x")
    Announcer(redis).step()
    assert warnings(redis, OURS) == []


def test_a_database_is_told_from_another_one_and_not_from_itself(db, tmp_path):
    def asked(name):
        """Migrate a database, and ask it."""
        url = f"sqlite:///{tmp_path}/{name}.sqlite3"
        return run_python(
            url, "-c", ASK, DJANGO_SETTINGS_MODULE="livermore.settings"
        ).stdout.strip()

    first = asked("first")
    assert len(first) == 16
    assert asked("first") == first
    # Our own was migrated as a second one would be.
    assert installation_id() not in ("", first)


def test_an_empty_database_is_no_installation_yet(tmp_path):
    url = f"sqlite:///{tmp_path}/empty.sqlite3"
    done = manage(url, "check")
    assert done.returncode == 0, done.stderr


def test_an_agent_says_once_that_it_is_not_alone(redis, db, caplog):
    announce(redis, OTHERS)
    announcer = Announcer(redis)
    with caplog.at_level(logging.WARNING):
        announcer.step()
        announcer._next_at = 0.0
        announcer.step()
    (record,) = [each for each in caplog.records if "installation.not_alone" in each.message]
    assert "Another installation" in record.message
    assert installation_id().encode() in redis.hkeys(keys.installation())


def test_every_agent_announces_its_installation(redis, transactional_db):
    Agent(redis, print).step()
    assert redis.hkeys(keys.installation()) == [installation_id().encode()]


def test_check_tells_it(redis, db):
    announce(redis, installation_id())
    assert list(checks.check_installations()) == []
    announce(redis, OTHERS)
    (message,) = checks.check_installations()
    assert (message.id, "Another installation" in message.msg) == ("livermore.W024", True)


def test_the_page_tells_it(redis, db, client):
    client.force_login(person("ada", "view_exchange"))
    assert b"data-not-alone" not in client.get("/admin/network/").content
    announce(redis, OTHERS)
    assert b"Another installation (seen " in client.get("/admin/network/").content
