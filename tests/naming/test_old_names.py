"""What docs/redis-keys.md says of names that nobody uses any more, after a prefix or tags."""

import re
from pathlib import Path

import pytest

from livermore.market import keys
from livermore.market.naming import Naming, current, name_as

TEXT = (Path(__file__).parents[2] / "docs/redis-keys.md").read_text()
(PATTERN, CHOSEN) = re.search(r"--scan --pattern '(\S+)' \| grep -E '(\S+)'", TEXT).groups()
OF_AN_EXCHANGE = (
    *(keys.lock, keys.epoch, keys.status, keys.events, keys.control, keys.told, keys.unconfirmed),
    *(keys.warmup_schedule, keys.warmup_stats, keys.commands, keys.trouble, keys.volumes),
)
OF_A_PAIR = (keys.candles, keys.live_candle, keys.coverage, keys.indicator)


def names_of(number):
    return [
        *(name(number) for name in OF_AN_EXCHANGE),
        *(name(number, "BTC-USD", "1h") for name in OF_A_PAIR),
        keys.ticker(number, "BTC-USD"),
    ]


@pytest.fixture
def named():
    before = current()
    yield lambda *naming: name_as(Naming(*naming))
    name_as(before)


def chosen(redis, names):
    """Return which of these names the command of the document deletes."""
    redis.mset(dict.fromkeys(names, "x"))
    found = (name.decode() for name in redis.scan_iter(PATTERN))
    return {name for name in found if re.search(CHOSEN, name)}


def test_the_command_removes_all_of_the_exchange_and_nothing_else(redis, named):
    old = names_of(4)
    others = [*names_of(14), *names_of(5), keys.agents(), keys.pacing("h:4:4")]
    new = []
    for naming in (("lm:",), ("", True), ("lm:", True)):
        named(*naming)
        new += names_of(4)
    foreign = ["app:exchange:4:x", "session:4:1"]
    assert chosen(redis, [*old, *others, *new, *foreign]) == set(old)
