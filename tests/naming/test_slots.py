"""With tags all keys of a call are in one slot, and a Cluster takes all that Livermore does."""

import pytest

from exchanges.lock.acquire import ExchangeLock
from exchanges.lock.status import State, read_status
from exchanges.redis.client import make_client
from livermore.market import keys
from tests.conftest import SERVER
from tests.fixtures.cluster import Cluster
from tests.naming.all_of_it import use_all
from tests.naming.commands import calls, recorded, spread
from tests.warmup.runners import end, make_row, processes, serve, wait_until

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def manage(transactional_db):
    with processes() as start:
        yield start


def test_with_tags_all_keys_of_a_script_and_of_a_transaction_are_in_one_slot(
    tagged, manage, redis, tmp_path
):
    with recorded(SERVER.url) as found:
        use_all(manage, redis, tmp_path)
    told = calls(redis, found)
    assert len([keys for _, keys in told if len(keys) > 1]) > 100
    assert spread(told) == []


def test_a_cluster_takes_all_of_it(tagged, manage, tmp_path, monkeypatch):
    with Cluster(tmp_path / "cluster") as whole, make_client(whole.url) as client:
        monkeypatch.setenv("REDIS_URL", whole.url)
        monkeypatch.delenv("LIVERMORE_KEY_TAGS")  # by itself
        use_all(manage, client, tmp_path)
        assert [name for name in client.scan_iter("*") if not name.startswith(b"lm:")] == []


def test_an_agent_takes_over_on_a_cluster_from_one_that_is_killed(
    tagged, manage, tmp_path, monkeypatch
):
    def active():
        holder = ExchangeLock(client, row.pk).holder()
        is_active = holder and read_status(client, row.pk).state is State.ACTIVE
        return holder.instance_id if is_active else ""

    with (
        Cluster(tmp_path / "cluster") as whole,
        make_client(whole.url) as client,
        serve(speed=1) as sandbox,
    ):
        monkeypatch.setenv("REDIS_URL", whole.url)
        row = make_row(sandbox, wanted="running")
        first = manage("agent")
        instance_id = wait_until(active, 60)
        others = manage("agent")
        wait_until(lambda: client.hlen(keys.agents()) == 2)
        first.kill()
        wait_until(lambda: active() not in ("", instance_id), 60)
        # It leaves the exchange to the other, as long as that one seems to be alive.
        assert end(others, seconds=30)[0] in (0, 143)
