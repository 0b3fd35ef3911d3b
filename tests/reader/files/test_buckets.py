"""History in a bucket, read by the reader itself from a real server."""

import livermore_reader
import pytest
from livermore_reader import BadRequest, Unavailable
from livermore_reader.sources.files.months import HistoryFiles

from exchanges.redis.directory import publish_exchanges
from history.places.place import configured_place
from livermore.market.candle import Candle
from livermore.market.pair import Pair
from tests.conftest import SERVER
from tests.history.past import BTC, H1, KEPT, Past
from tests.history.places.s3_server import KEY, s3_server
from tests.serving.conftest import say_streamed

pytestmark = pytest.mark.django_db(transaction=True)

VARIABLES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


@pytest.fixture(scope="module")
def server():
    with s3_server() as server:
        yield server


@pytest.fixture
def address(server, settings, monkeypatch):
    port = server.url.rpartition(":")[2]
    settings.LIVERMORE_PRIVATE_EXCHANGE_HOSTS = [f"127.0.0.1:{port}"]
    settings.HISTORY = server.address()
    for name, value in KEY.items():
        monkeypatch.setenv(name, value)
    return server.address()


@pytest.fixture
def past(address, redis):
    found = Past(configured_place(), redis)
    say_streamed(redis, found.row.pk)
    publish_exchanges(redis)
    return found


def test_older_candles_come_from_the_bucket_and_those_written_anew_too(past, address, monkeypatch):
    monkeypatch.setenv("LIVERMORE_HISTORY", address)
    with livermore_reader.connect(SERVER.url) as lm:
        frame = lm.candles("sandbox", BTC, "1h", 2950, strict=True)
        assert frame.attrs["livermore"]["source"] == "cache+history"
        assert frame["close"].tolist() == [row[4] for row in past.rows(KEPT - 2950)]
        start = past.first_ms
        changed = [Candle(start, 100.0, 101.0, 99.0, 100.0, 1.0, H1)]
        past.store.write(Pair(BTC, H1), changed, ((start, start + H1.ms),))
        assert lm.read("sandbox", BTC, "1h", 1, start=start).rows[0][1] == 100.0


def test_who_has_no_key_reads_redis_alone(past, address, monkeypatch):
    monkeypatch.setenv("LIVERMORE_HISTORY", address)
    for name in VARIABLES:
        monkeypatch.delenv(name)
    with livermore_reader.connect(SERVER.url) as lm:
        assert len(lm.rows("sandbox", BTC, "1h", 50)) == 50
    with pytest.raises(BadRequest, match="AWS_ACCESS_KEY_ID is not set"):
        livermore_reader.connect(SERVER.url, history=address)


@pytest.mark.parametrize("wrong", ["s3://", "s3://bucket?key=secret", "s3://me:secret@bucket/a"])
def test_what_names_no_bucket_is_one_line_without_secrets(address, wrong):
    with pytest.raises(BadRequest, match="history is in a folder, or in s3://") as error:
        livermore_reader.connect(SERVER.url, history=wrong)
    assert "secret" not in str(error.value)


def test_a_store_that_refuses_is_no_history_that_is_missing(server, address, monkeypatch):
    monkeypatch.setattr("livermore_reader.sources.files.places.ATTEMPTS", 1)
    none = HistoryFiles(server.address(bucket="no-such-bucket"))
    assert none.months("sandbox", BTC, "1h") == []  # as of a folder that is not there
    gone = HistoryFiles(address.replace(server.url, "http://127.0.0.1:9"))
    with pytest.raises(Unavailable, match="history in s3://candles/history can't be read now"):
        gone.months("sandbox", BTC, "1h")
