from collections.abc import Iterator

from benchmarks.fixtures.bench import Bench
from benchmarks.history import archives, beside, files, following
from benchmarks.history.candles import month_of_minutes
from benchmarks.history.places import history_in_a_folder
from benchmarks.measurement import Measurement
from history.places.folder import Folder


def measure(bench: Bench) -> Iterator[Measurement]:
    with history_in_a_folder() as path:
        place, month = Folder(path), month_of_minutes()
        yield from files.measure(bench, place, month)
        yield from following.measure(bench, place, month)
        yield from beside.measure(bench, place)
    yield from archives.measure(bench)
