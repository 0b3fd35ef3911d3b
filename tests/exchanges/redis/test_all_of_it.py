"""Sentinels take all that Livermore does, as a Cluster does in `tests.naming.test_slots`."""

import pytest

from exchanges.redis.client import make_client
from tests.fixtures.sentinels import Sentinels
from tests.naming.all_of_it import use_all
from tests.warmup.runners import processes


@pytest.mark.django_db(transaction=True)
def test_sentinels_take_all_of_it(tmp_path, monkeypatch):
    with Sentinels(tmp_path / "sentinels", password="a") as watched:
        monkeypatch.setenv("REDIS_URL", watched.url)
        with make_client(watched.url) as client, processes() as manage:
            use_all(manage, client, tmp_path)
