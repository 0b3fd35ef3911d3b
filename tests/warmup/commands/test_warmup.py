import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from exchanges.models import Exchange, Symbol
from livermore.market import keys

pytestmark = pytest.mark.django_db


@pytest.fixture
def run(redis, exchange):
    """Run a command and return its exit status with what it printed."""

    def run(*arguments, **options):
        out = StringIO()
        try:
            call_command(*arguments, stdout=out, stderr=StringIO(), **options)
            status = 0
        except SystemExit as exit_:
            status = exit_.code
        return status, out.getvalue()

    return run


@pytest.fixture
def refused(run):
    """Run a command that is refused; return its exit status and its one line."""

    def refused(*arguments):
        with pytest.raises(CommandError) as caught:
            run(*arguments)
        message = str(caught.value)
        assert "\n" not in message
        return caught.value.returncode, message

    return refused


def test_the_first_run_fetches_the_listing_and_warms_what_it_monitors(run, sandbox):
    status, text = run("warmup", "sandbox")
    monitored = Symbol.objects.filter(exchange__name="sandbox", is_monitored=True).count()
    assert status == 0
    assert monitored > 10
    assert sandbox.requests.counts["binance.klines"] == 6 * monitored
    assert str(6 * monitored) in text


def test_the_second_run_makes_no_candle_call_and_says_so(run, sandbox):
    run("warmup", "sandbox")
    sandbox.reset()
    status, text = run("warmup", "sandbox")
    assert (status, sum(sandbox.requests.counts.values())) == (0, 0)
    assert "zero REST candle calls" in text


def test_symbols_and_timeframes_can_be_chosen(run, sandbox):
    run("warmup", "sandbox", "--symbols", "btc-usd, ETH-USD", "--timeframes", "1h,1d")
    asked = [(call.symbol, call.timeframe) for call in sandbox.requests.candles]
    assert sorted(asked) == [(s, t) for s in ("BTC-USD", "ETH-USD") for t in ("1d", "1h")]


def test_json_holds_the_schedule_and_the_stats(run):
    status, text = run("warmup", "sandbox", "--symbols", "BTC-USD", "--json")
    result = json.loads(text)
    assert (status, result["candleCalls"]) == (0, 6)
    assert result["schedule"]["needsFetching"] == 6
    assert (result["stats"]["status"], result["stats"]["completedPairs"]) == ("complete", 6)


def test_a_failed_pair_makes_the_status_one_and_names_the_pair(run, sandbox):
    sandbox.faults.add("status", status=400, symbol="ETH-USD", timeframe="4h")
    status, text = run("warmup", "sandbox", "--symbols", "BTC-USD,ETH-USD")
    assert status == 1
    assert "failed: ETH-USD 4h: " in text


def test_a_plan_changes_nothing_and_calls_nothing(run, sandbox, redis):
    run("symbols", "sandbox", "--sync")
    sandbox.reset()
    status, text = run("warmup", "sandbox", "--plan")
    assert status == 0
    assert "candle calls" in text
    assert redis.keys("*warm-up*") == redis.keys("c*") == []
    assert sum(sandbox.requests.counts.values()) == 0


@pytest.mark.parametrize("hours", [-5, 5])
def test_a_plan_with_repair_invents_nothing_where_this_machines_clock_is_off(run, sandbox, hours):
    sandbox.clock.advance(hours * 3_600_000)
    run("warmup", "sandbox", "--symbols", "BTC-USD,ETH-USD")
    arguments = ("warmup", "sandbox", "--plan", "--repair", "--symbols", "BTC-USD,ETH-USD")
    plan = json.loads(run(*arguments, "--json")[1])
    assert [(each["stale"], each["holed"]) for each in plan["timeframes"]] == [(0, 0)] * 6
    assert (plan["calls"], plan["clock"]) == (0, "exchange")
    assert "clock" not in run(*arguments)[1]


def test_a_plan_says_where_it_had_to_go_by_this_machines_clock(run):
    run("warmup", "sandbox", "--symbols", "BTC-USD")
    Exchange.objects.filter(name="sandbox").update(rest_url="http://127.0.0.1:9")
    arguments = ("warmup", "sandbox", "--plan", "--symbols", "BTC-USD")
    status, text = run(*arguments)
    assert status == 0
    [line] = [line for line in text.splitlines() if "clock" in line]
    assert line.startswith("by this machine's clock, which may be off: 127.0.0.1:9 cannot be")
    plan = json.loads(run(*arguments, "--json")[1])
    assert (plan["clock"], plan["doubt"]) == ("machine", line.partition("off: ")[2])


def test_repair_repairs_what_the_count_does_not_see(run, redis, exchange):
    run("warmup", "sandbox", "--symbols", "BTC-USD", "--timeframes", "1h")
    redis.zremrangebyrank(f"candles:{exchange.pk}:BTC-USD:1h", 20, 29)
    redis.delete(f"coverage:{exchange.pk}:BTC-USD:1h")
    chosen = ("--symbols", "BTC-USD", "--timeframes", "1h")
    assert "zero REST candle calls" in run("warmup", "sandbox", *chosen)[1]
    status, _ = run("warmup", "sandbox", *chosen, "--repair")
    assert (status, redis.zcard(f"candles:{exchange.pk}:BTC-USD:1h")) == (0, 100)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("warmup", "nasdaq"), "known are: binance, binance_us, "),
        (("warmup", "sandbox", "--symbols", "BTC-EURO"), "similar are: "),
        (("warmup", "sandbox", "--symbols", "*"), "known are: "),
        (("warmup", "sandbox", "--symbols", " , "), "--symbols names nothing"),
        (("warmup", "sandbox", "--timeframes", "2h"), "known are: 1d, 4h, 1h, 15m, 5m, 1m"),
        (("repair", "sandbox", "--symbols", "A:B"), "unknown symbol on sandbox: A:B"),
        (("repair", "sandbox", "--symbols", "A\nB\0"), "unknown symbol on sandbox: A B?"),
        (("warmup", "sandbox", "--timeframes", "1d\r\n2h"), "unknown timeframe 1d 2h"),
        (("backfill", "sandbox", "--symbols", "BTC-USD", "--count", "0"), "1 to 1000"),
        (("symbols", "sandbox", "--monitor", "BTC-USDX"), "BTC-USDX"),
        (("symbols", "nasdaq"), "known are: "),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_a_person_typed_wrong_gets_one_line_and_status_two(run, refused, arguments, says):
    run("symbols", "sandbox", "--sync")
    status, message = refused(*arguments)
    assert status == 2
    assert says in message


def test_an_exchange_that_is_switched_off_is_refused(refused):
    Exchange.objects.filter(name="coinbase").update(is_active=False)
    assert refused("warmup", "coinbase")[0] == 2


def test_nothing_monitored_is_told_with_the_remedy(run, refused):
    run("symbols", "sandbox", "--sync")
    Symbol.objects.update(is_monitored=False)
    status, message = refused("warmup", "sandbox")
    assert (status, "--monitor" in message) == (2, True)


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ({"kind": "status", "status": 451}, "refuses this address or region (HTTP 451)"),
        ({"kind": "status", "status": 418, "retry_after": 300}, "banned this address until"),
    ],
    ids=["blocked", "banned"],
)
def test_an_exchange_that_refuses_us_gets_one_line(refused, sandbox, fault, says):
    sandbox.faults.add(**fault)
    status, message = refused("warmup", "sandbox")
    assert status == 1
    assert says in message


def test_an_exchange_that_is_gone_gets_one_line(refused):
    Exchange.objects.filter(name="sandbox").update(rest_url="http://127.0.0.1:9")
    status, message = refused("warmup", "sandbox")
    assert (status, "127.0.0.1:9 cannot be reached" in message) == (1, True)


def test_repair_and_backfill_say_what_they_did(run):
    run("warmup", "sandbox", "--symbols", "BTC-USD")
    assert run("repair", "sandbox", "--symbols", "BTC-USD")[0] == 0
    status, text = run("backfill", "sandbox", "--symbols", "BTC-USD", "--count", "9", "--json")
    assert (status, json.loads(text)["candles"]) == (0, 45)


def test_symbols_are_listed_monitored_and_unmonitored(run):
    run("symbols", "sandbox", "--sync")
    run("symbols", "sandbox", "--unmonitor", "btc-usd,ADA-USD")
    _, listed = run("symbols", "sandbox")
    assert "SOL-USD" in listed
    assert "ADA-USD" not in listed
    assert "1 of 1 newly monitored" in run("symbols", "sandbox", "--monitor", "BTC-USD")[1]
    assert "BTC-USD" in run("symbols", "sandbox")[1]


@pytest.mark.parametrize("command", ["warmup", "repair", "backfill"])
def test_readers_of_what_a_command_fetched_find_the_exchange_by_name(run, redis, command):
    run("symbols", "sandbox", "--sync")
    redis.delete(keys.exchanges(), keys.installation())
    run("warmup", "sandbox", "--plan")
    assert not redis.exists(keys.exchanges(), keys.installation())
    run(command, "sandbox", "--symbols", "BTC-USD", "--timeframes", "1d")
    assert "BTC-USD" in json.loads(redis.hget(keys.exchanges(), "sandbox"))["symbols"]
    assert redis.hlen(keys.installation()) == 1
