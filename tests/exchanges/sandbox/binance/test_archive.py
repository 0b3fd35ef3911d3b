"""Bulk files of the sandbox, fetched as anybody does, and what can be wrong with them."""

import hashlib
import io
import zipfile
from datetime import UTC, datetime

import pytest

from exchanges.sandbox.faults.archives import MISSING_DAY, WAYS
from livermore.market.timeframe import Timeframe

MONTH = "/data/spot/monthly/klines/BTCUSD/1h/BTCUSD-1h-2026-08.zip"
OLD_MONTH = MONTH.replace("2026-08", "2024-02")
DAY = "/data/spot/daily/klines/BTCUSD/15m/BTCUSD-15m-2026-09-11.zip"


def ms(*day):
    return int(datetime(*day, tzinfo=UTC).timestamp() * 1000)


def unpack(reply):
    with zipfile.ZipFile(io.BytesIO(reply.content)) as archive:
        (name,) = archive.namelist()
        return name, archive.read(name).decode().splitlines()


@pytest.fixture
def rows(get, sandbox):
    """Return the rows of a file."""

    def rows(path=MONTH):
        return [line.split(",") for line in unpack(get(sandbox, path))[1]]

    return rows


def test_a_month_holds_all_its_bars_with_times_in_microseconds(get, sandbox, rows):
    assert unpack(get(sandbox, MONTH))[0] == "BTCUSD-1h-2026-08.csv"
    truth = sandbox.market.closed_rows("BTC-USD", Timeframe.H1, ms(2026, 8, 1), ms(2026, 9, 1))
    found = [[float(each) for each in row] for row in rows()]
    assert [[row[0] / 1000, *row[1:6], *row[7:11]] for row in found] == truth
    assert {len(row) for row in found} == {12}
    assert {row[6] - row[0] for row in found} == {3_600_000_000 - 1}
    (first, *_), count = rows(OLD_MONTH), len(rows(OLD_MONTH))
    assert (first[0], first[6], count) == (f"{ms(2024, 2, 1)}", f"{ms(2024, 2, 1, 1) - 1}", 29 * 24)


def test_a_checksum_lies_beside_each_file(get, sandbox):
    for path in (MONTH, DAY):
        digest = hashlib.sha256(get(sandbox, path).content).hexdigest()
        name = path.rpartition("/")[2]
        assert get(sandbox, f"{path}.CHECKSUM").text == f"{digest}  {name}\n"


def test_what_is_not_published_yet_or_never_was_is_not_there(get, sandbox):
    assert get(sandbox, DAY).status_code == 200
    for path in (
        MONTH.replace("2026-08", "2026-09"),
        DAY.replace("09-11", "09-21"),
        MONTH.replace("2026-08", "2020-08"),
        MONTH.replace("BTCUSD", "NOPE"),
        MONTH.replace("2026-08", "2026-13"),
        MONTH.replace("1h", "3m"),
        "/data/spot/monthly/",
    ):
        found = get(sandbox, path)
        assert (found.status_code, b"NoSuchKey" in found.content) == (404, True), path


def test_it_costs_no_request_weight_and_what_is_wrong_with_rest_does_not_concern_it(get, start):
    server = start(weight_limit=2)
    server.faults.add("status", status=500)
    for _ in range(3):
        assert get(server, MONTH).status_code == 200
    server.faults.add("status", status=503, endpoint="archive")
    assert get(server, MONTH).status_code == 503


def spoil(sandbox, way, **settings):
    return sandbox.faults.add("archive", way=way, **settings)


def test_a_header_may_come_first(sandbox, rows):
    before = rows()
    spoil(sandbox, "header")
    (header, *others) = rows()
    assert (header[0], header[-1], others) == ("open_time", "ignore", before)


@pytest.mark.parametrize(("way", "path"), [("milliseconds", MONTH), ("microseconds", OLD_MONTH)])
def test_times_may_be_in_the_other_unit(sandbox, rows, way, path):
    spoil(sandbox, way)
    start_ms = ms(2026, 8, 1) if path == MONTH else ms(2024, 2, 1)
    assert rows(path)[0][0] == str(start_ms * {"milliseconds": 1, "microseconds": 1000}[way])


def test_a_day_may_be_missing_from_its_month_and_by_itself(get, sandbox, rows):
    spoil(sandbox, "missing_day")
    days = {datetime.fromtimestamp(int(row[0]) / 1e6, UTC).day for row in rows()}
    assert days == {*range(1, 32)} - {MISSING_DAY}
    assert get(sandbox, DAY).status_code == 404
    assert get(sandbox, DAY.replace("-11.zip", "-12.zip")).status_code == 200


def test_files_and_checksums_may_be_missing(get, sandbox):
    fault = spoil(sandbox, "missing_month")
    assert [get(sandbox, path).status_code for path in (MONTH, DAY)] == [404, 200]
    sandbox.faults.remove(fault)
    fault = spoil(sandbox, "missing_file", timeframe="1h")
    assert [get(sandbox, path).status_code for path in (MONTH, DAY)] == [404, 200]
    sandbox.faults.remove(fault)
    spoil(sandbox, "missing_checksum", open_times=[ms(2026, 8, 3)])
    paths = (MONTH, f"{MONTH}.CHECKSUM", f"{OLD_MONTH}.CHECKSUM")
    assert [get(sandbox, path).status_code for path in paths] == [200, 404, 200]


def test_a_checksum_may_be_wrong(get, sandbox):
    spoil(sandbox, "wrong_checksum", symbol="BTC-USD")
    digest = hashlib.sha256(get(sandbox, MONTH).content).hexdigest()
    assert digest not in get(sandbox, f"{MONTH}.CHECKSUM").text


@pytest.mark.parametrize("way", ["off_grid", "differs", "bad_row"])
def test_a_row_may_be_another(sandbox, rows, way):
    before = rows()
    spoil(sandbox, way)
    assert sum(now != then for now, then in zip(rows(), before, strict=True)) == 1
    spoil(sandbox, way, chance=0.5)
    assert sum(now != then for now, then in zip(rows(), before, strict=True)) > 300


def test_rows_may_be_missing_or_come_twice(sandbox, rows):
    fault = spoil(sandbox, "missing_rows", chance=0.1)
    assert 600 < len(rows()) < 700
    sandbox.faults.remove(fault)
    spoil(sandbox, "twice")
    assert len(rows()) == 31 * 24 + 1


def test_a_zip_may_end_too_early_or_hold_far_too_much(get, sandbox):
    fault = spoil(sandbox, "truncated")
    with pytest.raises(zipfile.BadZipFile):
        unpack(get(sandbox, MONTH))
    sandbox.faults.remove(fault)
    spoil(sandbox, "bomb")
    content = get(sandbox, MONTH).content
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.infolist()[0].file_size > 200 * len(content)


def test_every_way_has_its_scenario(get, start):
    for way in WAYS:
        server = start(scenarios=({"kind": "archive", "way": way},))
        server.send_due()
        assert [fault.way for fault in server.faults.active] == [way]
        server.stop()
