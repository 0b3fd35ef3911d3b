"""What a person does to an exchange: what it changes, whom it tells, what it leaves behind."""

import orjson
import pytest
from django.contrib.admin.models import LogEntry
from django.core.exceptions import ValidationError
from django.urls import reverse
from redis import Redis
from redis.exceptions import RedisError

from exchanges.errors import LivermoreError, UnknownSymbol
from exchanges.lock.acquire import Held
from exchanges.models import Exchange, UserExchange
from livermore.market import keys
from tests.warmup.network.operators import agent, commands, held_by, listed_exchange, live, person
from tests.warmup.runners import Running, make_row, serve, stored, wait_until
from warmup.network.actions.audit import last_action
from warmup.network.actions.base import Refused
from warmup.network.actions.exchange import Actions

pytestmark = pytest.mark.django_db

RUNNING, STOPPED = Exchange.Wanted.RUNNING, Exchange.Wanted.STOPPED


@pytest.fixture
def row():
    return listed_exchange()


@pytest.fixture
def ada():
    return person("ada")


@pytest.fixture
def act(redis, row, ada):
    """Return the actions of Ada on the exchange as it is now."""

    def act(reason=""):
        row.refresh_from_db()
        return Actions(redis, row, ada, reason)

    return act


@pytest.fixture
def notifications(redis, row):
    """Return a function that gives what was published since it was called last."""
    with redis.pubsub() as channel:
        channel.subscribe(keys.exchange_changed(row.pk))
        assert channel.get_message(timeout=5)["type"] == "subscribe"

        def notifications():
            found = []
            while message := channel.get_message(timeout=0.1):
                found.append(orjson.loads(message["data"]))
            return found

        yield notifications


def wanted(row):
    row.refresh_from_db()
    return row.wanted


def history():
    return [entry.get_change_message() for entry in LogEntry.objects.order_by("pk")]


def errors_of(found):
    return found.value.message_dict


# -- Connect


def test_connecting_makes_it_wanted_and_says_which_agent_does_it(redis, row, act):
    agent(redis)
    text = act().connect()
    assert text == "sandbox shall run: an agent does it within seconds (of-agent-1)."
    assert (wanted(row), row.wanted_at is not None) == (RUNNING, True)


def test_connecting_without_an_agent_says_how_to_start_one(row, act):
    text = act().connect()
    assert "no agent is alive" in text
    assert "./run agent" in text
    assert wanted(row) == RUNNING


def test_what_somebody_else_holds_is_not_connected(redis, row, act):
    agent(redis)
    holder = held_by(redis, row)
    with pytest.raises(Held) as found:
        act().connect()
    assert found.value.holder == holder
    assert (wanted(row), history()) == (STOPPED, [])


def test_what_the_only_agent_runs_is_running_already(redis, row, act):
    Exchange.objects.update(wanted=RUNNING)
    agent(redis, "of-its-own", live(redis, row), ["sandbox"])
    with pytest.raises(Refused, match=r"running already, on host-1 \(10.0.0.9\)"):
        act().connect()
    assert history() == []


def test_what_one_agent_runs_another_may_take_over(redis, row, act):
    Exchange.objects.update(wanted=RUNNING)
    agent(redis, "of-its-own", live(redis, row), ["sandbox"])
    agent(redis, "other")
    with pytest.raises(Held):
        act().connect()


def test_what_an_agent_is_ending_starts_again(redis, row, act):
    agent(redis, "of-its-own", live(redis, row), ["sandbox"])
    assert "starts again" in act().connect()
    assert wanted(row) == RUNNING


def test_an_exchange_that_is_switched_off_is_left_alone(row, act):
    Exchange.objects.update(is_active=False)
    for name in ("connect", "stop", "warm", "repair"):
        with pytest.raises(Refused, match="switched off"):
            getattr(act(), name)()
    assert history() == []


# -- Take over


def test_a_take_over_names_whom_it_replaces_and_why(redis, row, act):
    agent(redis)
    holder = held_by(redis, row)
    text = act("it hangs").take_over(holder.instance_id, " sandbox ")
    assert text == (
        "sandbox shall be taken from host-1: an agent does it within seconds (of-agent-1)."
    )
    assert wanted(row) == RUNNING
    assert (row.take_over_from, row.take_over_reason) == ("instance-1", "it hangs")
    assert history() == ["Take over from host-1 (10.0.0.9), process 4711 (it hangs)"]


@pytest.mark.parametrize(
    ("confirm", "reason", "wrong"),
    [
        ("", "why", {"confirm"}),
        ("Sandbox", "why", {"confirm"}),
        ("sandbox", "", {"reason"}),
        ("sandbox", " \r\n\t", {"reason"}),
        ("sandbox", "x" * 201, {"reason"}),
        ("sandbox", "a\0b", {"reason"}),
        ("", "", {"confirm", "reason"}),
    ],
)
def test_a_take_over_needs_the_name_and_a_reason(redis, row, act, confirm, reason, wrong):
    agent(redis)
    holder = held_by(redis, row)
    with pytest.raises(ValidationError) as found:
        act(reason).take_over(holder.instance_id, confirm)
    assert set(errors_of(found)) == wrong
    assert (wanted(row), row.take_over_from, history()) == (STOPPED, "", [])


def test_a_reason_of_many_lines_is_kept_on_one(redis, row, act):
    holder = held_by(redis, row)
    act("it\r\nhangs\t since noon" + " " * 300).take_over(holder.instance_id, "sandbox")
    assert history() == ["Take over from host-1 (10.0.0.9), process 4711 (it hangs since noon)"]


def test_another_holder_than_the_one_shown_is_not_replaced(redis, row, act):
    agent(redis)
    shown = held_by(redis, row, 1)
    other = held_by(redis, row, 2)
    with pytest.raises(Held) as found:
        act("why").take_over(shown.instance_id, "sandbox")
    assert found.value.holder == other
    assert (wanted(row), row.take_over_from, history()) == (STOPPED, "", [])


def test_a_holder_that_is_gone_by_then_needs_no_take_over(redis, row, act):
    agent(redis)
    assert "free by now" in act("why").take_over("instance-1", "")
    assert (wanted(row), row.take_over_from) == (RUNNING, "")
    assert history() == ["Connect (why)"]


def test_the_only_agent_is_not_asked_to_replace_itself(redis, row, act):
    Exchange.objects.update(wanted=RUNNING)
    holder = live(redis, row)
    agent(redis, "of-its-own", holder, ["sandbox"])
    with pytest.raises(Refused, match="no other agent is alive"):
        act("why").take_over(holder.instance_id, "sandbox")


def test_a_later_action_ends_the_request_to_take_over(redis, row, act):
    holder = held_by(redis, row)
    act("why").take_over(holder.instance_id, "sandbox")
    act().stop()
    assert (wanted(row), row.take_over_from, row.take_over_reason) == (STOPPED, "", "")


# -- Stop


def test_stopping_what_nobody_runs_takes_it_off_the_agents(row, act):
    Exchange.objects.update(wanted=RUNNING)
    assert "no agent starts it" in act("maintenance").stop()
    assert (wanted(row), history()) == (STOPPED, ["Stop (maintenance)"])


def test_stopping_what_is_stopped_is_refused(row, act):
    with pytest.raises(Refused, match="stopped already"):
        act().stop()
    assert history() == []


def test_an_agents_runner_is_stopped_by_its_agent_alone(redis, row, act):
    Exchange.objects.update(wanted=RUNNING)
    agent(redis, "of-its-own", live(redis, row), ["sandbox"])
    assert "the agent on host-1 ends it" in act().stop()
    assert commands(redis, row) == []


def test_a_runner_without_an_agent_is_told_to_stop(redis, row, act):
    live(redis, row)
    text = act().stop()
    assert "process 4711, which no agent started, was asked to end now" in text
    assert (wanted(row), commands(redis, row)) == (STOPPED, [("stop", {})])


def test_a_runner_that_warms_is_told_for_when_it_is_warm(redis, row, act):
    held_by(redis, row, state="warming", phase="warming")
    assert "as soon as it is warm" in act().stop()
    assert commands(redis, row) == [("stop", {})]


def test_a_single_command_ends_by_itself(redis, row, act):
    Exchange.objects.update(wanted=RUNNING)
    held_by(redis, row, state="warming", phase="repair")
    assert "the command repair on host-1 has it now, and ends by itself" in act().stop()
    assert (wanted(row), commands(redis, row)) == (STOPPED, [])


# -- Warm, repair


def test_a_live_runner_is_told_to_warm(redis, row, act):
    live(redis, row)
    assert act().warm() == "Warming sandbox: the card shows how far it is."
    assert commands(redis, row) == [("warmup", {})]
    assert history() == ["Warm now"]


@pytest.mark.parametrize(
    ("symbol", "timeframe", "arguments", "entry"),
    [
        ("", "", {}, "Repair"),
        ("btc-usd", "1h", {"symbols": ["BTC-USD"], "timeframes": ["1h"]}, "Repair BTC-USD 1h"),
        ("BTC-USD", "", {"symbols": ["BTC-USD"]}, "Repair BTC-USD"),
    ],
)
def test_a_live_runner_is_told_to_repair(redis, row, act, symbol, timeframe, arguments, entry):
    live(redis, row)
    act().repair(symbol, timeframe)
    assert commands(redis, row) == [("repair", arguments)]
    assert history() == [entry]


@pytest.mark.parametrize(
    ("symbol", "timeframe", "field"),
    [
        ("DOGE-USD", "1h", "symbol"),
        ("SOL-USD", "1h", "symbol"),  # listed, but not monitored
        ("<script>", "1h", "symbol"),
        ("BTC-USD\0", "1h", "symbol"),
        ("BTC-USD", "2h", "timeframe"),
        ("BTC-USD", "1h\r\n*", "timeframe"),
    ],
)
def test_what_is_no_pair_is_not_repaired(redis, row, act, symbol, timeframe, field):
    live(redis, row)
    with pytest.raises(ValidationError) as found:
        act().repair(symbol, timeframe)
    (line,) = errors_of(found)[field]
    assert line.isprintable()
    assert (commands(redis, row), history()) == ([], [])


@pytest.mark.parametrize("what", ["warm", "repair"])
def test_what_nobody_runs_is_warmed_by_connecting_it(redis, row, act, what):
    with pytest.raises(Refused, match="Connect starts it"):
        getattr(act(), what)()
    assert (commands(redis, row), history()) == ([], [])


@pytest.mark.parametrize(
    ("state", "text"),
    [
        ("starting", "warmed already"),
        ("warming", "warmed already"),
        ("stopping", "takes no commands now"),
        (None, "takes no commands now"),
    ],
)
def test_who_takes_no_commands_is_not_sent_one(redis, row, act, state, text):
    held_by(redis, row, state=state)
    with pytest.raises(Refused, match=text):
        act().warm()
    assert (commands(redis, row), history()) == ([], [])


# -- Symbols


def test_symbols_are_added_however_they_are_written(redis, row, act):
    text = act().add_symbols("sol-usd,\r\n XRP-USD;BTC-usd SOL-USD")
    assert text == "2 of 3 newly monitored on sandbox."
    assert row.symbols.kept_warm().count() == 4
    assert history() == ["Add symbols: SOL-USD, XRP-USD, BTC-USD"]
    assert commands(redis, row) == []


def test_symbols_that_come_and_go_are_told_to_the_runner(redis, row, act):
    live(redis, row)
    assert "its runner follows" in act().add_symbols("SOL-USD")
    assert "its runner follows" in act().remove_symbols("BTC-USD")
    assert commands(redis, row) == [
        ("bulk-add-symbols", {"symbols": ["SOL-USD"]}),
        ("remove-symbol", {"symbols": ["BTC-USD"]}),
    ]
    assert {each.symbol for each in row.symbols.kept_warm()} == {"ETH-USD", "SOL-USD"}


def test_what_the_runner_does_first_is_said(redis, row, act):
    live(redis, row)
    text = act().add_symbols("SOL-USD")
    assert text.endswith(": they are streamed at once, their history is fetched when it answers.")


def test_what_does_not_trade_is_not_repaired(redis, row, act):
    live(redis, row)
    row.symbols.filter(symbol="BTC-USD").update(status="halted")
    with pytest.raises(ValidationError) as found:
        act().repair("BTC-USD", "1h")
    (line,) = errors_of(found)["symbol"]
    assert "BTC-USD does not trade on sandbox now (halted)" in line
    assert (commands(redis, row), history()) == ([], [])


def test_a_runner_that_is_about_to_start_is_told_too(redis, row, act):
    Exchange.objects.update(wanted=RUNNING)
    act().add_symbols("SOL-USD")
    assert commands(redis, row) == [("bulk-add-symbols", {"symbols": ["SOL-USD"]})]


@pytest.mark.parametrize(
    "typed",
    ["BTC-USD SOL-USDD", "<script>alert(1)</script>", "*", ":", "BTC-USD\0", "😀", "%00", "' OR 1"],
)
@pytest.mark.parametrize("what", ["add_symbols", "remove_symbols"])
def test_one_unknown_symbol_spoils_all(redis, row, act, what, typed):
    live(redis, row)
    with pytest.raises(UnknownSymbol) as found:
        getattr(act(), what)(typed)
    assert str(found.value).isprintable()
    assert (commands(redis, row), history()) == ([], [])
    assert row.symbols.kept_warm().count() == 2


def test_an_unknown_symbols_neighbours_are_named(act):
    with pytest.raises(UnknownSymbol, match=r"SOL-USDD \(close: SOL-USD"):
        act().add_symbols("sol-usdd")


@pytest.mark.parametrize("typed", ["", " ,;\r\n"])
def test_no_symbol_is_said_at_the_field(act, typed):
    with pytest.raises(ValidationError) as found:
        act().add_symbols(typed)
    assert "Name at least one" in errors_of(found)["symbols"][0]


def test_ten_thousand_unknown_symbols_are_one_short_line(act):
    with pytest.raises(UnknownSymbol) as found:
        act().add_symbols(" ".join(f"S{number}-USD" for number in range(10_000)))
    assert "and 9990 more" in str(found.value)
    assert len(str(found.value)) < 1500


# -- What every action leaves behind


ACTIONS = {
    "connect": lambda actions: actions.connect(),
    "take over": lambda actions: actions.take_over("instance-1", "sandbox"),
    "stop": lambda actions: actions.stop(),
    "warm": lambda actions: actions.warm(),
    "repair": lambda actions: actions.repair(),
    "add": lambda actions: actions.add_symbols("SOL-USD"),
    "remove": lambda actions: actions.remove_symbols("BTC-USD"),
}


@pytest.mark.parametrize("name", ACTIONS)
def test_each_leaves_one_row_in_the_history_and_a_notification(
    redis, row, ada, act, notifications, admin_client, name
):
    if name != "connect":
        live(redis, row)
    ACTIONS[name](act("because <b>"))
    entry = LogEntry.objects.get()
    assert (entry.user, entry.object_id) == (ada, str(row.pk))
    assert entry.get_change_message().endswith("(because <b>)")
    page = admin_client.get(reverse("admin:exchanges_exchange_history", args=[row.pk]))
    assert "(because &lt;b&gt;)" in page.content.decode()
    assert notifications() == [{"exchangeId": row.pk, "what": "action"}]


def test_an_account_is_saved_by_its_rules_and_told_as_such(row, ada, act, notifications):
    first = UserExchange(user=ada, exchange=row, display_name="Main")
    assert act().save_account(first) == ("Main was added, the default: it is the only active one.")
    second = UserExchange(user=ada, exchange=row, display_name="Second", is_default=True)
    assert act().save_account(second) == "Second was added, the default."
    first.refresh_from_db()
    assert not first.is_default
    assert act().save_account(first) == "Main was changed."
    assert history()[0] == "Setup: account “Main” added"
    assert {each["what"] for each in notifications()} == {"accounts"}


def test_the_last_action_is_told_with_who_and_when(row, ada, act):
    assert last_action(row.pk) is None
    act().connect()
    act("maintenance").stop()
    who, when_ms, text = last_action(row.pk)
    assert (who, text) == ("ada", "Stop (maintenance)")
    assert when_ms == int(LogEntry.objects.latest("pk").action_time.timestamp() * 1000)


def test_what_was_done_in_the_admin_is_a_last_action_too(row, ada):
    message = [{"changed": {"fields": ["Wanted"]}}]
    LogEntry.objects.log_actions(ada.pk, [row], 2, message)
    assert last_action(row.pk)[2] == "Changed Wanted."


def test_a_long_action_is_cut_for_the_card_and_kept_whole_in_the_history(row, act):
    symbols = [f"LONG{number:03}-USD" for number in range(100)]
    row.symbols.bulk_create(
        row.symbols.model(
            exchange=row, symbol=name, native_symbol=name, base=name[:-4], quote="USD"
        )
        for name in symbols
    )
    act().add_symbols(" ".join(symbols))
    assert len(last_action(row.pk)[2]) == 200
    assert symbols[-1] in history()[0]


def test_without_redis_nothing_is_changed(row, ada):
    Exchange.objects.update(wanted=RUNNING)
    row.refresh_from_db()
    with Redis(port=1, socket_connect_timeout=1, retry=None) as gone:
        for work in ACTIONS.values():
            with pytest.raises((RedisError, LivermoreError)):
                work(Actions(gone, row, ada, "why"))
    assert (wanted(row), history()) == (RUNNING, [])
    assert row.symbols.kept_warm().count() == 2


# -- With a runner that is real


@pytest.mark.django_db(transaction=True)
def test_a_runner_that_no_agent_started_follows_all_of_it(redis):
    with serve(speed=1) as sandbox:
        row = make_row(sandbox, symbols=["BTC-USD", "ETH-USD"], wanted=STOPPED)
        actions = Actions(redis, row, person("ada"))
        one = Running(redis, row, ["BTC-USD", "ETH-USD"]).wait_until_live()
        try:
            actions.add_symbols("SOL-USD")
            wait_until(lambda: len(stored(redis, row.pk, "SOL-USD", "1m")[0]) >= 100)
            forget(redis, row, "ETH-USD", "4h")
            actions.warm()
            wait_until(lambda: len(stored(redis, row.pk, "ETH-USD", "4h")[0]) >= 100)
            forget(redis, row, "BTC-USD", "1d")
            actions.repair("BTC-USD", "1d")
            wait_until(lambda: len(stored(redis, row.pk, "BTC-USD", "1d")[0]) >= 100)
            actions.stop()
            wait_until(lambda: one.ended)
            assert one.error is None
        finally:
            one.stop()


def forget(redis, row, symbol, timeframe):
    redis.delete(keys.candles(row.pk, symbol, timeframe), keys.coverage(row.pk, symbol, timeframe))
