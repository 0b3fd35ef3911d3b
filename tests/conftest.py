"""What every test stands on: a Redis of the test run's own and a database in a file."""

import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest
import redis as redis_client
from django.conf import settings
from django.utils.functional import empty

from livermore import embedded_redis

# Never the Redis of whoever runs the tests: they empty it.
FOLDER = Path(tempfile.mkdtemp(prefix="livermore-tests-"))
SERVER = embedded_redis.ensure_running(FOLDER / "valkey")
os.environ["REDIS_URL"] = SERVER.url

# pytest-django has read the settings before this file is imported: they are read again.
sys.modules.pop("livermore.settings", None)
settings._wrapped = empty


def pytest_unconfigure(config):
    SERVER.leave()
    shutil.rmtree(FOLDER, ignore_errors=True)


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings):
    """Keep SQLite's test database in a file: threads and processes can share it."""
    from django.db import connections

    default = connections.settings["default"]
    if default["ENGINE"] == "django.db.backends.sqlite3":
        default["TEST"]["NAME"] = str(FOLDER / "test.sqlite3")


@pytest.fixture
def redis():
    """Return a client of the test run's Redis, which is empty."""
    with redis_client.Redis.from_url(SERVER.url) as client:
        client.flushall()
        yield client
