"""Ways to spoil a bulk file: its rows, its zip, what is told of it."""

import io
import zipfile
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from zlib import crc32

from exchanges.sandbox.faults.fault import ARCHIVE, Fault

DAY_MS = 86_400_000
MISSING_DAY = 11  # of its month
USUAL_SHARE = 0.01  # of missing rows
BOMB_BYTES = 20_000_000  # which come as a thousandth
TIMES = {"milliseconds": 1, "microseconds": 1000}  # units in a millisecond
MISSING = ("missing_file", "missing_month", "missing_day")
OF_THE_CHECKSUM = ("wrong_checksum", "missing_checksum")
Lines = list[str]  # of a CSV, beginning with their time in milliseconds


def _missing_rows(lines: Lines, fault: Fault) -> Lines:
    return [line for line in lines if not _hit(line, fault.chance or USUAL_SHARE)]


def _missing_day(lines: Lines, fault: Fault) -> Lines:
    return [line for line in lines if day_of(time_of(line)) != MISSING_DAY]


def _off_grid(lines: Lines, fault: Fault) -> Lines:
    return _changed(lines, fault, len(lines) // 2, lambda fields: [_off(fields[0]), *fields[1:]])


def _differs(lines: Lines, fault: Fault) -> Lines:
    """Tell another volume, as where an exchange has corrected itself."""
    return _changed(
        lines, fault, len(lines) - 1, lambda fields: [*fields[:5], f"{fields[5]}1", *fields[6:]]
    )


def _bad_row(lines: Lines, fault: Fault) -> Lines:
    """Let a row's low be above its high."""
    return _changed(
        lines, fault, len(lines) // 2, lambda fields: [*fields[:3], f"9{fields[2]}", *fields[4:]]
    )


def _twice(lines: Lines, fault: Fault) -> Lines:
    at = len(lines) // 2
    return [*lines[: at + 1], *lines[at:]]


ROWS: dict[str, Callable[[Lines, Fault], Lines]] = {
    "missing_rows": _missing_rows,
    "missing_day": _missing_day,
    "off_grid": _off_grid,
    "differs": _differs,
    "bad_row": _bad_row,
    "twice": _twice,
}
ZIPS = ("truncated", "bomb")
WAYS = ("header", *TIMES, *ROWS, *MISSING[:2], *OF_THE_CHECKSUM, *ZIPS)


def spoil_lines(lines: Lines, faults: Iterable[Fault]) -> Lines:
    """Return the rows of a file as the faults want them."""
    for fault in faults:
        if lines and fault.way in ROWS:
            lines = ROWS[fault.way](lines, fault)
    return lines


def is_missing(faults: Iterable[Fault], start_ms: int, *, monthly: bool) -> bool:
    """Tell whether a file that begins at a time is not there."""
    ways = {fault.way for fault in faults}
    if monthly:
        return bool(ways & {"missing_file", "missing_month"})
    return "missing_file" in ways or ("missing_day" in ways and day_of(start_ms) == MISSING_DAY)


def packed(name: str, text: str, faults: Iterable[Fault]) -> bytes:
    """Return a zip of one file, or what the faults make of it."""
    ways = {fault.way for fault in faults}
    content = "0" * BOMB_BYTES if "bomb" in ways else text
    zipped = io.BytesIO()
    member = zipfile.ZipInfo(name)  # with a date that stays, so that its checksum does
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr(member, content, zipfile.ZIP_DEFLATED, compresslevel=1)
    found = zipped.getvalue()
    return found[: len(found) // 2] if "truncated" in ways else found


def concerning(faults: Iterable[Fault], start_ms: int, end_ms: int) -> list[Fault]:
    """Return those for a file: where times are given, one of them lies in it."""
    return [
        fault
        for fault in faults
        if fault.kind == ARCHIVE
        and (not fault.open_times or any(start_ms <= each < end_ms for each in fault.open_times))
    ]


def time_of(line: str) -> int:
    return int(line.partition(",")[0])


def day_of(time_ms: int) -> int:
    return datetime.fromtimestamp(time_ms / 1000, UTC).day


def _changed(
    lines: Lines, fault: Fault, at: int, change: Callable[[list[str]], list[str]]
) -> Lines:
    """Change a `chance` share of the rows, or row number `at` alone."""
    return [
        ",".join(change(line.split(",")))
        if (_hit(line, fault.chance) if fault.chance else number == at)
        else line
        for number, line in enumerate(lines)
    ]


def _hit(line: str, chance: float) -> bool:
    return crc32(b"%d" % time_of(line)) / 2**32 < chance


def _off(time: str) -> str:
    return str(int(time) + 7000)
