"""Files of history beside their manifest: each difference is named, and mended when asked."""

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command

from history import parquet
from history.manifest import digest_of
from history.models import HistoryFile, PairHistory
from history.store.store import HistoryStore
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe
from tests.warmup.runners import MIDNIGHT_MS, make_row, serve, true_rows

pytestmark = pytest.mark.django_db

SINCE = "2026-11-16"
SINCE_MS = MIDNIGHT_MS - 3 * Timeframe.D1.ms
HOURS = Pair("BTC-USD", Timeframe.H1)
PATH = "exchange=sandbox/symbol=BTC-USD/timeframe=1h/2026-11.parquet"
ONE_HOUR = Timeframe.H1.ms


@pytest.fixture(scope="module")
def sandbox():
    with serve(speed=1, start_ms=MIDNIGHT_MS + 7 * 60_000) as sandbox:
        yield sandbox


@pytest.fixture
def row(redis, sandbox, folder):
    """Return the exchange, of which three days of hours of one symbol are history."""
    row = make_row(sandbox, "sandbox", ["BTC-USD"])
    run(row, "--since", SINCE, "--timeframes", "1d,1h")
    return row


def run(row, *arguments):
    """Return the exit status of the command and what it says."""
    output, status = StringIO(), 0
    try:
        call_command("history", row.name, "--json", *arguments, stdout=output, stderr=StringIO())
    except SystemExit as error:
        status = error.code
    return status, json.loads(output.getvalue())


def kinds(told):
    return sorted(each["kind"] for each in told["differences"])


def stored_file():
    return HistoryFile.objects.select_related("pair").get(path=PATH)


def write_known(folder, table, **values):
    """Write a file of which the manifest knows that it is there."""
    content = parquet.dump(table)
    folder.write(PATH, content)
    said = {"digest": digest_of(content), "rows": len(table), "size": len(content)} | values
    HistoryFile.objects.filter(path=PATH).update(**said)


def is_true(row, folder, sandbox):
    """Tell whether history has all hours, as they were."""
    found = HistoryStore(folder, row).read(HOURS, SINCE_MS, MIDNIGHT_MS)
    truth = true_rows(sandbox, row, *HOURS, SINCE_MS, MIDNIGHT_MS)
    return found.covered == ((SINCE_MS, MIDNIGHT_MS),) and found.rows == truth


def test_what_was_written_differs_in_nothing(row):
    status, told = run(row, "--verify")
    assert (status, told["differences"], told["files"]) == (0, [], 2)
    assert told["rows"] == 3 * 24 + 3


def test_a_folder_in_the_place_of_a_file_is_set_aside_and_fetched_again(row, folder, sandbox):
    path = folder._path / PATH
    path.unlink()
    path.mkdir()
    assert kinds(run(row, "--verify")[1]) == ["altered"]
    assert run(row, "--repair")[0] == 0
    assert is_true(row, folder, sandbox)
    assert (folder._path / "damaged" / PATH).is_dir()


def test_a_file_that_is_gone_is_named_and_fetched_again(row, folder, sandbox):
    folder.move(PATH, "elsewhere")
    status, told = run(row, "--verify")
    assert (status, kinds(told)) == (1, ["missing"])
    assert told["differences"][0]["path"] == PATH
    status, told = run(row, "--repair")
    assert (status, told["repair"]["candles"]) == (0, 3 * 24)
    assert is_true(row, folder, sandbox)
    assert run(row, "--verify")[0] == 0


def test_a_file_that_was_changed_is_set_aside_and_that_stretch_alone_fetched(row, folder, sandbox):
    damaged = bytearray(folder.read(PATH))
    damaged[len(damaged) // 2] ^= 1
    folder.write(PATH, bytes(damaged))
    assert kinds(run(row, "--verify")[1]) == ["altered"]
    status, told = run(row, "--repair")
    assert status == 0
    assert (told["repair"]["setAside"], told["repair"]["candles"]) == ([PATH], 3 * 24)
    assert folder.read(f"damaged/{PATH}") == bytes(damaged)
    assert is_true(row, folder, sandbox)


def test_what_is_wrong_inside_of_a_file_is_named(row, folder):
    first, *rows = parquet.rows_of(parquet.load(folder.read(PATH)))
    off = [first[0] + 1, *first[1:]]
    beyond = [first[0] + 40 * Timeframe.D1.ms, *first[1:]]
    upside_down = [rows[0][0], 1.0, 1.0, 2.0, 1.0, *rows[0][5:]]
    write_known(folder, parquet.table_of([beyond, upside_down, off, off]))
    told = run(row, "--verify")[1]
    assert kinds(told) == ["grid", "month", "order", "values"]
    assert any("2 rows" in each["text"] or "1 more" in each["text"] for each in told["differences"])


def test_numbers_and_coverage_that_are_not_as_the_manifest_says_are_named(row, folder):
    HistoryFile.objects.filter(path=PATH).update(rows=5)
    pair = PairHistory.objects.get(timeframe="1h")
    pair.coverage = [[SINCE_MS, SINCE_MS + ONE_HOUR]]
    pair.save()
    found = kinds(run(row, "--verify")[1])
    assert found[-2:] == ["count", "uncovered"] or found == ["count", "coverage", "uncovered"]


def test_a_write_that_was_cut_off_before_the_manifest_knew_is_settled(row, folder, sandbox):
    file = stored_file()
    file.next_digest, file.next_rows, file.next_size = file.digest, file.rows, file.size
    file.next_coverage, file.digest, file.rows = file.pair.coverage, "", 0
    file.save()
    PairHistory.objects.filter(timeframe="1h").update(coverage=[])
    status, told = run(row, "--verify")
    assert (status, told["settled"]) == (0, 1)
    assert is_true(row, folder, sandbox)


def test_a_write_that_was_cut_off_before_the_file_was_there_is_no_difference(row, folder):
    HistoryFile.objects.filter(path=PATH).update(next_digest="0" * 64)
    folder_of_file = folder.read(PATH)
    assert run(row, "--verify")[0] == 0
    assert folder.read(PATH) == folder_of_file


def forget_manifest():
    HistoryFile.objects.filter(path=PATH).delete()
    PairHistory.objects.filter(timeframe="1h").delete()


def says(symbol, coverage):
    pair = {"exchange": "sandbox", "symbol": symbol, "timeframe": "1h"}
    return {parquet.METADATA: json.dumps({"pair": pair, "coverage": coverage})}


def write_saying(folder, symbol, coverage):
    table = parquet.load(folder.read(PATH)).replace_schema_metadata(says(symbol, coverage))
    folder.write(PATH, parquet.dump(table))


def test_a_file_that_says_what_it_covers_is_adopted(row, folder, sandbox):
    write_saying(folder, "BTC-USD", [[SINCE_MS, MIDNIGHT_MS]])
    forget_manifest()
    status, told = run(row, "--verify")
    assert (status, kinds(told)) == (1, ["unknown"])
    status, told = run(row, "--repair")
    assert (status, told["repair"]["adopted"]) == (0, [PATH])
    assert told["repair"]["candleCalls"] == 0
    assert is_true(row, folder, sandbox)


@pytest.mark.parametrize(
    ("symbol", "coverage", "why"),
    [
        ("ETH-USD", [[SINCE_MS, MIDNIGHT_MS]], "is of ETH-USD"),
        ("BTC-USD", [[SINCE_MS, MIDNIGHT_MS - ONE_HOUR]], "no stretch"),
        ("BTC-USD", [[2, 1]], "no Parquet file of history"),
    ],
)
def test_a_file_that_is_not_sound_is_left_and_named(row, folder, symbol, coverage, why):
    write_saying(folder, symbol, coverage)
    forget_manifest()
    status, told = run(row, "--repair")
    assert status == 1
    assert why in told["repair"]["left"][0]["text"]
    assert not PairHistory.objects.filter(timeframe="1h").exclude(coverage=[]).exists()


def test_a_file_that_says_nothing_of_itself_is_left(row, folder):
    table = parquet.load(folder.read(PATH)).replace_schema_metadata(None)
    folder.write(PATH, parquet.dump(table))
    forget_manifest()
    told = run(row, "--repair")[1]
    assert "does not say what it covers" in told["repair"]["left"][0]["text"]


def test_files_that_were_moved_to_another_place_are_adopted_by_their_digest(row, folder, sandbox):
    PairHistory.objects.update(store="0" * 32)  # as if the folder had another id before
    status, told = run(row, "--verify")
    assert (status, kinds(told)) == (1, ["elsewhere"] * 2 + ["unknown"] * 2)
    status, told = run(row, "--repair")
    assert (status, told["repair"]["candleCalls"]) == (0, 0)
    assert is_true(row, folder, sandbox)
    assert run(row, "--verify")[0] == 0


def test_what_a_dead_writer_left_half_written_is_no_difference_and_is_cleared(row, folder):
    draft = folder._path / f"{PATH.rpartition('/')[0]}/.2026-11.parquet.{'a' * 32}"
    draft.write_bytes(b"half")
    assert run(row, "--verify")[0] == 0
    assert run(row, "--repair")[1]["repair"]["drafts"] == 1
    assert not draft.exists()


def test_verifying_a_part_is_refused(row):
    with pytest.raises(Exception, match="leave --archives out"):
        run(row, "--verify", "--archives", "no")
    with pytest.raises(Exception, match="leave --since out"):
        run(row, "--verify", "--since", str(timedelta(0)))
