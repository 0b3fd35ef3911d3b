"""What a person reads on a card; times in ms, now is the noon of a day."""

from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_network

import pytest

from exchanges.lock.status import Holder, State, Status
from exchanges.models import AuditRun, Exchange
from exchanges.rest.pacing.usage import Usage
from exchanges.transport.addresses import misled_by_proxy
from warmup.network.page.cards import NO_GRID, present, without_redis
from warmup.network.page.cells import Work
from warmup.network.page.exchange_view import Action, ExchangeRow, ExchangeView, Schedule
from warmup.runner.moving.succession import Successor
from warmup.runner.trouble import Trouble
from warmup.stats import WarmupStats

NOW = 1_795_046_400_000
HOLDER = Holder("i-1", 3, "trader-1", "10.0.0.2", 4711, NOW - 60_000)
ADA = Action("ada", NOW - 9_000, "Connect")
NO_USAGE = Usage(None, None, 0, 0)
NO_AUDIT = {"audit": "", "auditFault": "", "auditUnknown": "", "auditNone": "none yet"}
LIVE = {
    "obeys": True, "symbols": 18, "streams": 109, "connections": 1, "reconnects": 0,
    "framesPerSecond": 12.34, "frameRates": [11.0, 12.34], "newestClose": NOW - 5_000,
}  # fmt: skip


def row_of(wanted="running", action=None, **values):
    usual = {"pacing": "weight", "rest_url": "https://api.binance.com"}
    exchange = Exchange(pk=4, name="sandbox", display_name="Sandbox", wanted=wanted)
    for name, value in (usual | values).items():
        setattr(exchange, name, value)
    return ExchangeRow(exchange, ("BTC-USD", "ETH-USD"), action)


def status(state, phase="", **details):
    return Status(State(state), phase, None, NOW - 1_000, HOLDER, details)


def view_of(said=None, *, age_ms=1_000, holder=HOLDER, stats=None, schedule=None, usage=NO_USAGE):
    said = said or Status(State.OFFLINE)
    age_ms = None if said.state is State.OFFLINE else age_ms
    return ExchangeView(holder, said, age_ms, stats, schedule, usage)


def stats_of(status, **values):
    usual = {"startedAt": NOW - 12_000, "updatedAt": NOW - 500, "status": status}
    return WarmupStats(4).as_json() | usual | values


def card_of(view, row=None, grid=NO_GRID, agent_alive=True):
    return present(row or row_of(), view, grid, agent_alive, NOW)


def test_a_live_exchange_as_it_is_read():
    usage = Usage(112, 4800, 0, 0)
    action = Action("ada", NOW - 9_000, "Connect (new keys)")
    view = view_of(status("active", "streaming", **LIVE), usage=usage)
    card = card_of(view, row_of(action=action))
    assert card == {
        "exchangeId": 4,
        "name": "sandbox",
        "displayName": "Sandbox",
        "state": "active",
        "wanted": True,
        "group": "running",
        "troubled": False,
        "stateText": "Active: streaming",
        "lockHeld": True,
        "buttons": [
            "take-over",
            "stop",
            "warmup",
            "repair",
            "add-symbols",
            "sync-symbols",
            "check",
            "setup",
        ],
        "lines": {
            "host": "trader-1",
            "address": "10.0.0.2",
            "pid": "4711",
            "symbols": "18 symbols, 109 streams on 1 connection",
            "polled": "",
            "rate": "12.3 frames/s",
            "reconnects": "none",
            "holes": "–",
            "unreadable": "",
            "weight": "112 of 4,800 a minute",
            "key": "none is chosen: public candles only",
            "venue": "",
            **NO_AUDIT,
            "action": "ada: Connect (new keys)",
            "trouble": "",
            "remedy": "",
            "tries": "",
            "hint": "",
            "wanted": "kept running by an agent",
        },
        "times": {
            "connectedSince": NOW - 60_000,
            "newestClose": NOW - 5_000,
            "heartbeat": NOW - 1_000,
            "action": NOW - 9_000,
            "audit": None,
            "wanted": None,
            "warmup": None,
            "retryAt": None,
        },
        "sparkline": [11.0, 12.34],
        "warmup": None,
        "commands": [],
        "grid": NO_GRID,
        "polled": {},
    }


def test_what_the_exchange_refuses_to_stream_is_named():
    pairs = {"ETH-USD": ["1m", "5m"], "LUNA-USD": ["1d"]}
    details = LIVE | {"polled": 3, "polledPairs": pairs}
    card = card_of(view_of(status("active", "streaming", **details)))
    assert card["polled"] == pairs
    assert card["lines"]["polled"] == "2 polled: ETH-USD, LUNA-USD"
    many = {f"S{number:02d}": ["1m"] for number in range(13)}
    view = view_of(status("active", "streaming", **LIVE | {"polledPairs": many}))
    assert card_of(view)["lines"]["polled"].endswith("S08, S09 and 3 more")


@pytest.mark.parametrize(
    ("counted", "text"),
    [
        ({"connections": 0}, "Active: connecting"),
        ({"connections": 0, "streamTrouble": "refused"}, "Active: no connection, trying again"),
        ({"framesPerSecond": 0}, "Active: connected, but nothing comes"),
        ({"framesPerSecond": 0, "silent": 1}, "Active: connected, but nothing comes"),
    ],
)
def test_an_exchange_from_which_nothing_comes_is_not_shown_as_well(counted, text):
    card = card_of(view_of(status("active", "streaming", **LIVE | {"obeys": True} | counted)))
    assert (card["state"], card["troubled"], card["stateText"]) == ("active", True, text)


def test_a_quiet_market_is_no_trouble():
    quiet = LIVE | {"obeys": True, "framesPerSecond": 0, "silent": 0}
    card = card_of(view_of(status("active", "streaming", **quiet)))
    assert (card["troubled"], card["stateText"]) == (False, "Active: streaming")


@pytest.mark.parametrize("hours", [-3, 0.01, 3])
def test_the_newest_close_is_as_old_as_it_is_by_the_exchanges_clock(hours):
    off_ms = round(hours * 3_600_000)  # by which ours is behind
    said = LIVE | {"newestClose": NOW - 6_000 + off_ms, "exchangeTime": NOW - 1_000 + off_ms}
    assert card_of(view_of(status("active", **said)))["times"]["newestClose"] == NOW - 6_000


def test_what_was_counted_long_ago_is_not_shown_as_of_now():
    card = card_of(view_of(status("active", "streaming", **LIVE), age_ms=30_000))
    assert card["state"] == "stale"
    assert card["lines"]["rate"] == card["lines"]["reconnects"] == "–"
    assert "streams" not in card["lines"]["symbols"]


# -- The state

NOBODY = {"holder": None}


@pytest.mark.parametrize(
    ("view", "row", "agent_alive", "expected"),
    [
        (view_of(**NOBODY), row_of(), True, ("offline", "Offline: waits for an agent")),
        (view_of(**NOBODY), row_of("stopped"), False, ("offline", "Offline")),
        (view_of(**NOBODY), row_of("stopped"), True, ("idle", "Idle: an agent is ready")),
        (view_of(status("starting")), row_of(), True, ("starting", "Starting")),
        (view_of(status("warming", "warming")), row_of(), True, ("warming", "Warming")),
        (view_of(status("warming", "repair")), row_of(), True, ("warming", "Warming: repair")),
        (view_of(status("stopping")), row_of(), True, ("stopping", "Stopping")),
        (view_of(status("stopped"), **NOBODY), row_of(), True, ("stopped", "Stopped")),
        (view_of(status("error", "gone"), **NOBODY), row_of(), True, ("error", "Error: gone")),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_every_state_has_its_words(view, row, agent_alive, expected):
    card = card_of(view, row, agent_alive=agent_alive)
    assert (card["state"], card["stateText"]) == expected


def test_who_takes_it_over_and_from_whom_is_said():
    view = view_of(status("active", "leaving it to another agent", **LIVE))
    other = Successor("other-host", "10.0.0.2", 7, HOLDER.instance_id)
    card = card_of(replace(view, successor=other))
    assert (
        card["stateText"] == f"Active: other-host (10.0.0.2) takes it over from {HOLDER.hostname}"
    )


def test_a_late_heartbeat_is_stale_before_it_is_offline():
    active = status("active", "streaming")
    assert card_of(view_of(active, age_ms=10_000))["state"] == "active"
    stale = card_of(view_of(active, age_ms=10_001))
    assert stale["stateText"] == "Stale: no sign of life, was active"
    assert card_of(view_of(active, age_ms=40_000, holder=None))["state"] == "offline"


def test_a_state_that_is_written_with_the_lock_alone_may_be_older():
    assert card_of(view_of(status("starting"), age_ms=11_000))["state"] == "starting"
    assert card_of(view_of(status("starting"), age_ms=12_001))["state"] == "stale"


def test_a_holder_that_says_nothing_is_starting_at_first_and_stale_then():
    assert card_of(view_of())["state"] == "stale"
    new = Holder("i-2", 4, "trader-2", "10.0.0.3", 1, NOW - 1_000)
    assert card_of(view_of(holder=new))["state"] == "starting"


def test_the_heartbeat_is_told_by_redis_where_the_holders_clock_is_wrong():
    ahead = Status(State.ACTIVE, "", None, NOW + 3_600_000, HOLDER, {})
    assert card_of(view_of(ahead, age_ms=3_500))["times"]["heartbeat"] == NOW - 4_000


def test_where_redis_is_silent_the_card_says_so_and_keeps_what_is_known():
    card = card_of(None)
    assert (card["state"], card["buttons"]) == ("stale", ["setup"])
    assert card["stateText"] == "Stale: Redis does not answer"
    known = card_of(view_of(status("active", "streaming", **LIVE)))
    changed = {name for name, value in without_redis(known).items() if known[name] != value}
    assert changed == {"state", "stateText", "buttons"}


# -- Why it can't be reached

REFUSED = Trouble("no way there", "fix it", "trader-2", NOW + 20_000)


def troubled(view, trouble=REFUSED):
    return replace(view, trouble=trouble)


@pytest.mark.parametrize(
    "view", [view_of(**NOBODY), view_of(status("starting")), view_of(status("warming", "warming"))]
)
def test_why_it_cannot_be_reached_is_told_with_what_to_do_and_when_it_is_tried_again(view):
    card = card_of(troubled(view))
    assert (card["state"], card["stateText"]) == ("error", "Error: cannot connect")
    lines, times = card["lines"], card["times"]
    assert (lines["trouble"], lines["remedy"]) == ("no way there", "fix it")
    assert (lines["tries"], times["retryAt"]) == ("trader-2 tries again", NOW + 20_000)
    trying = card_of(troubled(view, replace(REFUSED, retry_at_ms=None)))
    assert trying["lines"]["tries"] == "trader-2 is trying again now"


def test_what_nobody_tries_any_more_is_no_trouble():
    card = card_of(troubled(view_of(**NOBODY)), row_of("stopped"))
    assert (card["state"], card["lines"]["trouble"]) == ("idle", "")


def test_what_another_agent_could_not_reach_is_no_trouble_where_it_is_live():
    card = card_of(troubled(view_of(status("active", "streaming", **LIVE))))
    assert (card["state"], card["lines"]["trouble"]) == ("active", "")


def test_a_ban_that_is_over_is_no_trouble():
    ban = replace(REFUSED, over_at_ms=NOW + 1)
    assert card_of(troubled(view_of(**NOBODY), ban))["state"] == "error"
    over = replace(REFUSED, over_at_ms=NOW)
    assert card_of(troubled(view_of(**NOBODY), over))["lines"]["trouble"] == ""


def test_why_there_is_no_stream_is_told_too():
    said = {"connections": 0, "streamTrouble": "cannot connect: refused", "streamRetryAt": NOW + 9}
    card = card_of(view_of(status("active", "streaming", **LIVE | said)))
    assert card["lines"]["trouble"] == "no stream: cannot connect: refused"
    assert "WebSocket address" in card["lines"]["remedy"]
    assert (card["troubled"], card["times"]["retryAt"]) == (True, NOW + 9)
    again = LIVE | said | {"connections": 1}
    assert card_of(view_of(status("active", "streaming", **again)))["lines"]["trouble"] == ""


@pytest.mark.parametrize(
    ("reason", "text", "remedy"),
    [
        ("cannot connect: [Errno 111] Connection refused", "Connection refused", "is online"),
        ("cannot connect: [Errno -2] Name or service not known", "Name or", "name server"),
        ("cannot connect: [Errno -3] Temporary failure in name resolution", "T", "machine online?"),
        ("cannot connect: the exchange answered HTTP 403: no", "403", "what the exchange says"),
        (
            "cannot connect: [SSL: CERTIFICATE_VERIFY_FAILED] self-signed",
            "SSL",
            "LIVERMORE_CA_FILE",
        ),
        ("the exchange closed the connection: 1001", "closed", "if it happens often"),
        ("no data for 30 s, not even a heartbeat", "no data", "if it happens often"),
    ],
)
def test_what_to_do_about_a_stream_goes_by_its_cause_and_it_goes_on_by_itself(reason, text, remedy):
    said = {"connections": 0, "streamTrouble": reason, "streamRetryAt": NOW + 9}
    lines = card_of(view_of(status("active", "streaming", **LIVE | said)))["lines"]
    assert text in lines["trouble"] and "Errno" not in lines["trouble"]
    assert lines["remedy"].startswith("Livermore waits and goes on by itself")
    assert remedy in lines["remedy"] and "run it again" not in lines["remedy"]


def test_a_warmup_that_has_nothing_to_fetch_counts_none_of_none():
    stats = stats_of("complete", totalPairs=0, skippedPairs=108)
    assert warmup(stats)["counts"] == "nothing to fetch, 108 skipped"


def test_what_is_needed_before_anything_can_be_kept_warm_is_told():
    def hint(symbols, listed_at):
        row = replace(row_of(listed_at=listed_at), symbols=symbols)
        return card_of(view_of(**NOBODY), row)["lines"]["hint"]

    now = datetime.now(UTC)
    assert "never fetched: Connect does that" in hint((), None)
    assert "No symbol is monitored" in hint((), now)
    asked = replace(row_of(listed_at=None, wanted_at=now), symbols=())
    assert card_of(view_of(**NOBODY), asked)["lines"]["hint"] == (
        "Its symbols were never fetched: who runs it does that first."
    )
    assert hint(("BTC-USD",), now) == hint(("BTC-USD",), None) == ""
    view = view_of(status("active", "streaming", **LIVE | {"symbols": 0}))
    assert card_of(view, replace(row_of(), symbols=()))["stateText"] == (
        "Active: no symbol is monitored"
    )


# -- Who wants it


@pytest.mark.parametrize(
    ("wanted", "asked", "view", "agent_alive", "text"),
    [
        ("running", None, view_of(status("active")), True, "kept running by an agent"),
        ("running", ADA, view_of(status("active")), True, "kept running by an agent, as ada asked"),
        ("running", None, view_of(**NOBODY), False, "waits for an agent"),
        ("running", None, troubled(view_of(**NOBODY)), True, "an agent goes on trying"),
        ("stopped", ADA, view_of(**NOBODY), True, "stopped by ada"),
        ("stopped", None, view_of(**NOBODY), True, "not started: Connect lets an agent run it"),
        ("stopped", ADA, view_of(status("active")), True, "runs until it ends: no agent keeps it"),
    ],
)
def test_who_keeps_it_running_or_stopped_it_is_told_with_when(
    wanted, asked, view, agent_alive, text
):
    card = card_of(view, replace(row_of(wanted), asked=asked), agent_alive=agent_alive)
    assert card["lines"]["wanted"].startswith(text)
    assert card["times"]["wanted"] == (asked.at_ms if asked else None)


# -- The buttons


@pytest.mark.parametrize(
    ("view", "wanted", "expected"),
    [
        (view_of(**NOBODY), "stopped", {"connect"}),
        (view_of(**NOBODY), "running", {"connect", "stop"}),
        (view_of(status("stopped"), **NOBODY), "stopped", {"connect"}),
        (view_of(status("error"), **NOBODY), "running", {"connect", "stop"}),
        (view_of(status("warming")), "running", {"take-over", "stop"}),
        (view_of(status("active")), "stopped", {"take-over", "stop", "warmup", "repair"}),
        (view_of(status("active"), age_ms=30_000), "running", {"take-over", "stop"}),
    ],
)
def test_the_buttons_are_those_that_make_sense(view, wanted, expected):
    card = card_of(view, row_of(wanted))
    assert set(card["buttons"]) == expected | {"add-symbols", "sync-symbols", "check", "setup"}


# -- The lines


def line(name, view=None, row=None, grid=NO_GRID):
    return card_of(view or view_of(**NOBODY), row, grid)["lines"][name]


def test_of_an_exchange_that_is_not_live_only_what_is_known_is_told():
    lines = card_of(view_of(**NOBODY))["lines"]
    assert (lines["host"], lines["rate"], lines["reconnects"]) == ("–", "–", "–")
    assert lines["symbols"] == "2 symbols"


def idle_row(idle, offers=()):
    symbols = ("BTC-USD", *idle)
    return ExchangeRow(row_of().exchange, symbols, None, idle, offers)


def test_what_does_not_trade_is_said_with_what_it_may_be_called_now():
    idle = {"A-USD": "halted", "MATIC-USD": "delisted", "B-USD": "halted"}
    offer = "MATIC-USD is delisted. ./run symbols sandbox --rename MATIC-USD POL-USD"
    row = idle_row(idle, (offer,))
    assert line("symbols", row=row) == f"1 symbol, 2 halted, 1 delisted; {offer}"
    live = view_of(status("active", symbols=1, streams=7, connections=1))
    assert line("symbols", live, row).startswith("1 symbol, 7 streams on 1 connection, 2 halted")


def test_how_far_the_history_of_added_symbols_is_is_said():
    def said(**details):
        return line("symbols", view_of(status("active", symbols=3, **details)))

    assert said(historiesWaiting=0, historiesTrouble="") == "3 symbols"
    assert said(historiesWaiting=2, historiesTrouble="") == "3 symbols; history of 2 is fetched"
    text = said(historiesWaiting=2, historiesTrouble="banned until noon")
    assert text == "3 symbols; history of 2 waits: banned until noon"


def test_an_exchange_of_which_nothing_trades_says_so():
    card = card_of(view_of(status("active", "streaming", obeys=True, symbols=0, connections=0)))
    assert card["stateText"] == "Active: nothing that is monitored trades now"


def test_holes_of_what_does_not_trade_are_none():
    grid = {"timeframes": ["1m"], "symbols": ["A", "B", "C"], "rows": ["x", "d", "h"]}
    assert line("holes", grid=grid) == "1 with holes of 1 pair"


def test_reconnects_are_counted():
    assert line("reconnects", view_of(status("active", connections=2, reconnects=1200))) == "1,200"


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], "–"),
        (["cc", "cq"], "none known"),
        (["ch", "hk"], "2 with holes, 1 cold of 4 pairs"),
        (["r"], "1 being repaired of 1 pair"),
    ],
)
def test_the_holes_are_those_of_the_grid(rows, expected):
    assert line("holes", grid=NO_GRID | {"rows": rows}) == expected


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (Usage(None, None, 0, 0), "0 a minute; its limit is asked for when it starts"),
        (Usage(1200, 6000, 0, 0), "1,200 of 6,000 a minute"),
        (Usage(1, 6000, 30_000, 0), "held for 30 s, as asked"),
        (
            Usage(1, 6000, 1, 600_000),
            "banned by the exchange until 00:10 UTC; Livermore waits and goes on by itself",
        ),
        (
            Usage(1, 6000, 1, 90_000, 0, NOW + 90_500),
            "banned by the exchange until 00:01:30 UTC; Livermore waits and goes on by itself",
        ),
        (
            Usage(1, 6000, 1, 3 * 86_400_000),
            "banned by the exchange until 2026-11-22 00:00 UTC; "
            "Livermore waits and goes on by itself",
        ),
        (Usage(1, 6000, 16_000, 0, 32_000), "turned away (HTTP 403), tried again in 16 s"),
    ],
)
def test_the_request_weight_is_told_of_its_limit(usage, expected):
    assert line("weight", view_of(usage=usage)) == expected


def test_where_weight_is_not_counted_the_pace_is_told():
    row = row_of(pacing="batch", batch_size=5, batch_delay_ms=1500)
    assert line("weight", row=row) == "not counted: 5 calls at once, then 1.5 s"


# -- The warmup


def warmup(stats, schedule=None):
    return card_of(view_of(stats=stats, schedule=schedule))["warmup"]


def test_a_warmup_on_its_way():
    failures = [{"symbol": "X-USD", "timeframe": "1d", "error": "unknown"}]
    stats = stats_of(
        "executing", totalPairs=124, completedPairs=99, skippedPairs=3, failedPairs=1,
        percentComplete=80.6, etaMs=12_345, pairsPerSecond=45.01, currentSymbol="BTC-USD",
        currentTimeframe="1h", failures=failures,
    )  # fmt: skip
    found = warmup(stats, Schedule(NOW - 11_000, (("1d", 18), ("4h", 18))))
    assert found == {
        "status": "executing",
        "alive": True,
        "percent": 80.6,
        "line": "Warming: BTC-USD 1h",
        "eta": "about 12 s left",
        "left": "24 of 124 pairs left",
        "counts": "99 done, 3 skipped, 1 failed of 124",
        "rate": "45.0 pairs/s",
        "schedule": [["1d", 18], ["4h", 18]],
        "failures": failures,
        "updatedAt": NOW - 500,
        "error": None,
    }


def test_a_warmup_that_was_killed_is_not_alive():
    found = warmup(stats_of("executing", updatedAt=NOW - 11_000, currentSymbol="BTC-USD"))
    assert (found["alive"], found["line"], found["eta"]) == (False, "Broken off at BTC-USD", "")


@pytest.mark.parametrize(
    ("stats", "line", "rate"),
    [
        (stats_of("scanning"), "Looking what is cached", ""),
        (stats_of("complete", totalPairs=8), "Warmup complete", "in 12 s"),
        (stats_of("complete"), "Was warm already", "in 12 s"),
        (stats_of("error", error="gone"), "Warmup ended by an error", "in 12 s"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_result_of_a_warmup_stays(stats, line, rate):
    found = warmup(stats)
    assert (found["line"], found["rate"], found["error"]) == (line, rate, stats["error"])


def cells(*rows):
    return NO_GRID | {"symbols": [str(at) for at in range(len(rows))], "rows": list(rows)}


LONG_AGO = {"startedAt": NOW - 400_000, "updatedAt": NOW - 300_000}


@pytest.mark.parametrize(
    ("stats", "rows", "is_shown"),
    [
        (stats_of("complete", **LONG_AGO), ["cccc", "cqxd"], True),
        (stats_of("complete", **LONG_AGO), ["cccc", "kkkk"], False),  # symbols were added
        (stats_of("complete", totalPairs=8, **LONG_AGO), ["cccc", "chcc"], False),
        (stats_of("complete", totalPairs=8), ["kkkk"], True),  # the cells are of a moment before
        (stats_of("complete", totalPairs=8, failedPairs=1, **LONG_AGO), ["kccc"], True),
        (stats_of("complete", totalPairs=8, failedPairs=1, **LONG_AGO), ["cccc"], False),
        (stats_of("error", error="gone", **LONG_AGO), ["kkcc"], True),
        (stats_of("error", error="gone", **LONG_AGO), ["cccc"], False),
        (stats_of("executing", **LONG_AGO), ["kccc"], True),  # it was killed
        (stats_of("executing", **LONG_AGO), ["cccc"], False),
        (stats_of("executing"), ["kkkk"], True),
        (stats_of("complete", **LONG_AGO), [], True),
    ],
)
def test_a_warmup_goes_when_it_speaks_no_longer_of_what_is_there(stats, rows, is_shown):
    card = card_of(view_of(stats=stats), grid=cells(*rows))
    assert (card["warmup"] is not None) == is_shown


def test_how_long_ago_a_warmup_ended_is_told_once_it_has():
    assert card_of(view_of(stats=stats_of("complete", **LONG_AGO)))["times"]["warmup"] == (
        NOW - 300_000
    )
    assert card_of(view_of(stats=stats_of("executing")))["times"]["warmup"] is None


def test_the_schedule_of_the_warmup_before_is_not_shown_with_this_one():
    old = Schedule(NOW - 13_000, (("1d", 18),))
    assert warmup(stats_of("scanning"), old)["schedule"] == []


def test_a_hundred_failures_are_listed_and_all_of_them_counted():
    many = [{"symbol": "X-USD", "timeframe": "1d", "error": "no"}] * 6000
    found = warmup(stats_of("executing", failures=many, failedPairs=6000))
    assert len(found["failures"]) == 100
    assert "6,000 failed" in found["counts"]


# -- What is being repaired


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        (view_of(**NOBODY), Work()),
        (view_of(status("active", "streaming", healing=0)), Work()),
        (view_of(status("active", "streaming", healing=2)), Work(healing=True)),
        (view_of(status("warming", "repairing")), Work(None)),
        (view_of(status("warming", "warming")), Work(None)),
        (view_of(status("warming", "elsewhere")), Work()),
        (view_of(status("warming", "repair"), age_ms=30_000), Work()),
        (view_of(status("active", order={"command": "repair"})), Work(None)),
        (view_of(status("active", order={"command": "repair", "symbols": ["A-B"]})), Work(["A-B"])),
        (view_of(status("active", order={"command": "add-symbol", "symbol": "A"})), Work(["A"])),
        (view_of(status("active", order={"command": "stop"})), Work()),
        (view_of(status("active", fetching=["A"])), Work(fetching=("A",))),
        (
            view_of(status("active", healing=1, order={"command": "repair", "timeframes": ["1d"]})),
            Work(None, ["1d"], True),
        ),
    ],
)
def test_what_is_being_repaired_is_told_by_the_holder(view, expected):
    assert view.work() == expected


def test_what_to_set_is_read_whole_where_an_exchange_ended():
    hosts = ["api.coinbase.com", "advanced-trade-ws.coinbase.com"]
    told = str(misled_by_proxy(hosts, ip_network("198.18.0.0/15")))
    assert card_of(view_of(status("error", told)))["stateText"] == f"Error: {told}"
    shown = card_of(view_of(status("error", told), stats=stats_of("error", error=told)))
    assert shown["warmup"]["error"] == told
    assert len(card_of(view_of(status("error", 9999 * "x")))["stateText"]) < 600


FOUND = {"symbol": "BTC-USD", "timeframe": "1h", "source": "history"}
DIFFERS = "3 of 500 candles differ, as BTC-USD 1h in history on 2026-11-19"


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({"compared": 500}, {"audit": "500 candles agree on 2026-11-19"}),
        ({"compared": 500, "differing": 3, "differences": [FOUND]}, {"auditFault": DIFFERS}),
        (
            {"unknown": 500, "reason": "banned"},
            {"auditUnknown": "500 unknown on 2026-11-19: banned"},
        ),
        (
            {"compared": 500, "second_beyond": 2},
            {
                "audit": "500 candles agree on 2026-11-19",
                "auditFault": "2 far from another exchange on 2026-11-19",
            },
        ),
        ({}, {"auditNone": "nothing was kept to compare on 2026-11-19"}),
    ],
)
def test_what_the_last_audit_found_is_said_with_its_date(found, expected):
    at = datetime.fromtimestamp(NOW / 1000, UTC)
    row = replace(row_of(), audit=AuditRun(started_at=at, ended_at=at, **found))
    card = card_of(view_of(), row)
    assert {name: card["lines"][name] for name in NO_AUDIT} == NO_AUDIT | {
        "auditNone": ""
    } | expected
    assert card["times"]["audit"] == NOW
