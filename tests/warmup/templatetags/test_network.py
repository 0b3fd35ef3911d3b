import pytest
from django.template import Context, Template

from warmup.templatetags.network import (
    ago,
    grid_rows,
    idle_legend,
    legend,
    moment,
    newest,
    running_where,
    spark_points,
    two,
)

GRID = {"timeframes": ["1m", "1h"], "symbols": ["BTC-USD", "A/B<-USD"], "rows": ["cq", "hk"]}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s ago"),
        (59.9, "59 s ago"),
        (60, "1 min ago"),
        (7199, "1 h ago"),
        (172_800, "2 d ago"),
    ],
)
def test_how_long_ago_is_told_in_the_largest_unit(seconds, text):
    assert ago(1_000_000, 1_000_000 + int(seconds * 1000)) == text


def test_what_lies_ahead_by_a_clock_that_is_off_is_now():
    assert ago(2000, 1000) == "0 s ago"


def test_a_moment_says_on_hover_exactly_when():
    html = moment(1_795_046_400_000, 1_795_046_460_000, "newestClose")
    assert 'datetime="2026-11-19T00:00:00+00:00"' in html
    assert 'title="2026-11-19 00:00:00 UTC">1 min ago</time>' in html


@pytest.mark.parametrize("nothing", [None, ""])
def test_a_moment_that_never_was_is_an_empty_place(nothing):
    assert moment(nothing, 1000, "action") == '<time data-time="action"></time>'


def test_a_sparkline_ends_at_the_right_edge_and_is_as_high_as_its_highest_value():
    assert spark_points([0, 10, 5]) == "117,23.0 118,2.0 119,12.5"
    assert spark_points([]) == ""


def test_a_sparkline_of_silence_is_flat():
    assert spark_points([0, 0]) == "118,23.0 119,23.0"


def test_every_cell_links_to_its_pair_under_a_name_that_can_be_read_out():
    html = grid_rows({"exchangeId": 4, "grid": GRID})
    assert html.count("<a ") == 4
    assert (
        'href="4/pairs/BTC-USD/1h/" class="cell" data-code="q" aria-label="BTC-USD 1h: quiet">·'
        in html
    )


def test_a_cell_says_that_its_pair_is_polled():
    html = grid_rows({"exchangeId": 4, "grid": GRID, "polled": {"BTC-USD": ["1h"]}})
    assert html.count("title=") == 1
    title = 'title="polled: the exchange refuses to stream it, so REST is asked'
    assert f'href="4/pairs/BTC-USD/1h/" class="cell" data-code="q" {title}' in html


def test_a_symbols_name_breaks_neither_markup_nor_address():
    html = grid_rows({"exchangeId": 4, "grid": GRID})
    assert 'href="4/pairs/A%2FB%3C-USD/1m/"' in html
    assert 'aria-label="A/B&lt;-USD 1m: holed"' in html


def test_a_large_grid_is_cut_into_chunks():
    symbols = [f"C{number}-USD" for number in range(120)]
    grid = {"timeframes": ["1m"], "symbols": symbols, "rows": ["c"] * 120}
    html = grid_rows({"exchangeId": 4, "grid": grid})
    assert [chunk.count("<a ") for chunk in html.split('class="chunk"')[1:]] == [50, 50, 20]


def test_the_legend_counts_every_state():
    counts = {state["name"]: state["count"] for state in legend(GRID)}
    zero = {"repairing": 0, "waiting for the exchange": 0}
    assert counts == {"complete": 1, "quiet": 1, "holed": 1, "cold": 1} | zero
    assert not any(state["count"] for state in legend(""))


def test_what_does_not_trade_is_counted_apart():
    grid = GRID | {"rows": ["xx", "dd"]}
    counts = {state["name"]: state["count"] for state in idle_legend(grid)}
    assert counts == {"halted": 2, "delisted": 2}
    assert not any(state["count"] for state in legend(grid))
    html = grid_rows({"exchangeId": 4, "grid": grid})
    assert 'data-code="x" aria-label="BTC-USD 1h: halted">‖' in html
    assert "1h: delisted" in html


def test_numbers_that_are_not_known_are_left_out():
    assert (two(1.005), two(-0.5), two(None), two("")) == ("1.00", "-0.50", "", "")


def test_the_newest_rows_come_first():
    assert newest([1, 2, 3, 4], 2) == [4, 3]
    assert newest([1], 20) == [1]


def test_the_form_of_a_new_card_needs_no_card():
    source = '{% include "network/card/card.html" with card=None may_operate=True %}'
    html = Template(source).render(Context())
    assert 'data-exchange="0"' in html
    assert "/0/connect/" in html


def test_what_an_agent_runs_is_named_with_its_process():
    agent = {"running": ["binance", "sandbox"], "processes": [{"pid": 7, "running": ["sandbox"]}]}
    assert running_where(agent) == "binance, sandbox (7)"
