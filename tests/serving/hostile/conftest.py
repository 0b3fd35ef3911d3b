"""One server for all tests of a module, over an exchange that no database knows."""

import pytest
from redis import Redis

from tests.conftest import SERVER
from tests.serving.conftest import FixedDirectory
from tests.serving.serving import served


@pytest.fixture(scope="module")
def url():
    with Redis.from_url(SERVER.url) as redis, served(redis, directory=FixedDirectory()) as found:
        yield found


@pytest.fixture
def no_fault(caplog):
    """See that nothing is in the log but what is told while all is well."""
    yield
    assert [each.getMessage() for each in caplog.records if each.levelname != "DEBUG"] == []
