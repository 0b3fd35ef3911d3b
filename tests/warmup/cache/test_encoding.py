import json

import pytest

from exchanges.redis.scripts import load_script
from livermore.market.candle import EARLIEST_MS, LATEST_MS
from warmup.cache.encoding import LONGEST_COVERAGE, PAIR_CONSTANTS, read_coverage, read_time

SPANS = load_script("warmup/cache/lua/spans.lua", PAIR_CONSTANTS)
TEXTS = [
    "[[1,2],[5,9]]", f"[[0,{LATEST_MS}]]", "[]", "", "no JSON", "5", '{"from":1}', "[[1,2],[5]]",
    "[[1,2],[5,9,11]]", "[[1,2],null]", "[[2,1]]", "[[1,1]]", "[[-1,2]]", "[[1,2.5]]",
    '[["1","2"]]', f"[[1,{LATEST_MS + 1}]]",
]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_a_coverage_is_understood_as_scripts_understand_it(redis, text):
    said = redis.eval(f"{SPANS.text}\nreturn text_of_spans(spans_of(ARGV[1]))", 0, text)
    assert [list(span) for span in read_coverage(text.encode(), "coverage")] == json.loads(said)


def test_a_coverage_that_is_not_there_or_too_long_is_none():
    assert read_coverage(None, "coverage") == ()
    assert read_coverage(b"[[1,2]]".ljust(LONGEST_COVERAGE), "coverage") == ((1, 2),)
    assert read_coverage(b"[[1,2]]".ljust(LONGEST_COVERAGE + 1), "coverage") == ()


@pytest.mark.parametrize(
    ("score", "time_ms"),
    [
        (float(EARLIEST_MS), EARLIEST_MS),
        (b"1790000040000", 1_790_000_040_000),
        (EARLIEST_MS - 1.0, None),
        (float(LATEST_MS), None),
        (float("inf"), None),
        (float("nan"), None),
        (None, None),
    ],
)
def test_a_score_is_an_open_time_or_none(score, time_ms):
    assert read_time(score) == time_ms
