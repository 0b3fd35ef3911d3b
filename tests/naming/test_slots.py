"""With tags all keys of a call are in one slot, and a Cluster takes all that Livermore does."""

import pytest

from exchanges.redis.client import make_client
from tests.conftest import SERVER
from tests.fixtures.cluster import cluster
from tests.naming.all_of_it import use_all
from tests.naming.commands import calls, recorded, spread
from tests.warmup.runners import processes


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
    with cluster(tmp_path / "cluster") as whole, make_client(whole.url) as client:
        monkeypatch.setenv("REDIS_URL", whole.url)
        monkeypatch.delenv("LIVERMORE_KEY_TAGS")  # by itself
        use_all(manage, client, tmp_path)
        assert [name for name in client.scan_iter("*") if not name.startswith(b"lm:")] == []
