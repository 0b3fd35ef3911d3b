"""What docs/history.md shows, as it stands there."""

from datetime import UTC, datetime

import pytest

from exchanges.redis.directory import publish_exchanges
from history.places.folder import Folder
from tests.conftest import SERVER
from tests.history.past import KEPT, Past
from tests.reader.documents.test_recipes import blocks, run
from tests.serving.conftest import say_streamed
from tests.warmup.runners import ROOT

pytestmark = pytest.mark.django_db(transaction=True)

TEXT = (ROOT / "docs/history.md").read_text()


@pytest.fixture
def past(redis, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Past(Folder(tmp_path / "var/history"), redis)


def test_tools_that_people_have_read_the_files(past):
    by_pandas, by_polars, by_duckdb = blocks("With any tool", text=TEXT)
    rows = past.rows(0, KEPT - 50)
    frame = run(by_pandas)["df"]
    assert frame["close"].tolist() == [row[4] for row in rows]
    frame = run(by_polars)["df"]
    assert frame["close"].to_list() == [row[4] for row in rows]
    days = run(by_duckdb)["days"]
    day = datetime.fromtimestamp(rows[-30][0] / 1000, UTC).date()
    volume = sum(row[5] for row in rows if datetime.fromtimestamp(row[0] / 1000, UTC).date() == day)
    assert {at.astimezone(UTC).date(): found for at, _, found in days}[day] == volume
    weeks = run(by_duckdb.replace("1 day", "1 week"))["days"]
    assert len(weeks) > 2
    assert {at.astimezone(UTC).strftime("%a %H:%M") for at, *_ in weeks} == {"Mon 00:00"}


def test_the_reader_reads_them(past, redis, monkeypatch):
    monkeypatch.setenv("LIVERMORE_URL", SERVER.url)
    say_streamed(redis, past.row.pk)
    publish_exchanges(redis)
    (code,) = blocks("By programs", text=TEXT)
    frame = run(code)["df"]
    assert frame["close"].tolist() == [row[4] for row in past.rows(-2000)]
    assert frame.attrs["livermore"]["source"] == "cache+history"
