from io import StringIO

import pytest
from django.core.management import call_command

from livermore.market import keys
from tests.warmup.live import events_of, make_row, running, serve, wait_until


@pytest.fixture
def row(transactional_db, redis):
    with serve() as sandbox:
        yield make_row(sandbox)


def run(*arguments):
    output = StringIO()
    call_command("symbols", "sandbox", *arguments, stdout=output)
    return output.getvalue()


def test_whoever_runs_the_exchange_streams_what_is_monitored_from_now_on(redis, row):
    row.symbols.filter(symbol="SOL-USD").update(is_monitored=False)
    with running(redis, row, ["BTC-USD"]):
        assert "its runner was told" in run("--monitor", "SOL-USD")
        wait_until(lambda: events_of(redis, row.pk).get(("SOL-USD", "1m")))
        assert "its runner was told" in run("--unmonitor", "SOL-USD")


def test_where_nobody_runs_it_nothing_is_told(redis, row):
    row.symbols.filter(symbol="SOL-USD").update(is_monitored=False)
    assert run("--monitor", "SOL-USD") == "sandbox: 1 of 1 newly monitored\n"
    assert not redis.exists(keys.control(row.pk))
