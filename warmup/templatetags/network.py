"""What the Network page's templates place: moments, sparklines and the grid of pairs.

The scripts in static/network draw the same things again when they change.
"""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from django import template
from django.template.loader import render_to_string
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from livermore.market.candle import is_time
from livermore.market.timeframe import SHORTEST_FIRST
from warmup.network.signals.reader import STAGES
from warmup.network.words import WORDS

register = template.Library()

CELLS = {  # code -> name, glyph: told apart without colour too
    "c": ("complete", "✓"),
    "r": ("repairing", "↻"),
    "w": ("waiting for the exchange", "…"),
    "q": ("quiet", "·"),
    "h": ("holed", "!"),
    "k": ("cold", "○"),
}
ASIDE_CELLS = {"u": ("set aside", "?")}  # a key of it holds what nobody of ours wrote
IDLE_CELLS = {  # what does not trade: nobody asks for what they lack
    "x": ("halted", "‖"),
    "d": ("delisted", "✕"),
}
# As in static/network/signals/model.js.
STAGE_GLYPHS = {"b": "⤒", "l": "↑", "u": "↗", "g": "→", "t": "↘", "v": "↓", "o": "⤓"}
POLLED = "polled: the exchange refuses to stream it, so REST is asked at each bar's end"
ROWS_IN_CHUNK = 50  # what the browser lays out, or skips, at once
UNITS = ((86_400, "d"), (3600, "h"), (60, "min"))
NO_PRICE = "–"
SPARK_POINTS, SPARK_HEIGHT = 120, 24


@register.simple_tag
def moment(ms: int | None, now_ms: int, name: str = "") -> SafeString:
    """Return a `<time>`: how long ago it was, and on hover exactly when. Ticks by script."""
    if not ms:  # None, or '' where the template has no card
        return format_html('<time data-time="{}"></time>', name)
    at = datetime.fromtimestamp(ms / 1000, UTC)
    return format_html(
        '<time data-time="{}" data-ms="{}" datetime="{}" title="{}">{}</time>',
        *(name, ms, at.isoformat(timespec="seconds"), f"{at:%Y-%m-%d %H:%M:%S} UTC"),
        ago(ms, now_ms),
    )


@register.simple_tag
def coming(ms: int | None, now_ms: int, name: str) -> SafeString:
    """Return a `<time>` that is to come: in how long, and on hover exactly when."""
    if not ms:
        return format_html('<time data-time="{}" data-coming></time>', name)
    at = datetime.fromtimestamp(ms / 1000, UTC)
    return format_html(
        '<time data-time="{}" data-coming data-ms="{}" datetime="{}" title="{}">{}</time>',
        *(name, ms, at.isoformat(timespec="seconds"), f"{at:%Y-%m-%d %H:%M:%S} UTC"),
        until(ms, now_ms),
    )


@register.simple_tag
def what(name: str, of: str = "") -> SafeString:
    """Return the ? that opens a word's explanation; the page has `words` for those it opens.

    `of` tells it apart where an explanation stands beside its button (`what_here`).
    """
    word = WORDS[name]
    return format_html(
        '<button type="button" class="what" popovertarget="what-{0}" '
        'aria-label="What is: {1}" aria-describedby="what-{0}-text">?</button>',
        *(f"{name}{of}", word.title),
    )


@register.simple_tag
def what_here(name: str) -> SafeString:
    """Return the same with its explanation, for a dialog: what lies outside can't be opened."""
    context = {"id": f"{name}-here", "word": WORDS[name]}
    return what(name, "-here") + mark_safe(render_to_string("network/word.html", context))  # noqa: S308


@register.inclusion_tag("network/words.html")
def words(*names: str) -> dict:
    """Place the explanations of these words."""
    return {"words": {name: WORDS[name] for name in names}}


@register.filter
def running_where(agent: Mapping[str, Any]) -> str:
    """Return what an agent runs, each with the number of its process where that is another."""
    where = {name: each["pid"] for each in agent["processes"] for name in each["running"]}
    return ", ".join(f"{one} ({where[one]})" if one in where else one for one in agent["running"])


@register.filter
def percent(ratio: float | None) -> str:
    """Return a share in whole percent: 100 only where it is all of it."""
    return f"{math.floor(100 * ratio)} %" if isinstance(ratio, int | float) else NO_PRICE


@register.filter
def milliseconds(count: int | None) -> str:
    """Return a duration; a dash for None."""
    if not isinstance(count, int):
        return NO_PRICE
    return f"{count} ms" if count else "< 1 ms"


@register.filter
def utc(ms: int) -> str:
    """Return a time as text, to the minute; nothing for what is no time of this century."""
    if not is_time(ms):
        return ""
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M}"


@register.filter
def two(number: float | None) -> str:
    """Return a number with two decimals, nothing for None."""
    return f"{number:.2f}" if isinstance(number, int | float) else ""


@register.filter
def newest(rows: list, count: int) -> list:
    """Return the last rows, the newest first."""
    return rows[: -count - 1 : -1]


@register.simple_tag
def stages() -> list[tuple[str, str, str]]:
    """Return all stages of MACD-V, the highest first: letter, name and sign; the last is none."""
    known = [(letter, str(stage), STAGE_GLYPHS[letter]) for stage, letter in STAGES.items()]
    return [*known, ("", "no value", "")]


@register.simple_tag
def timeframes() -> tuple[str, ...]:
    """Return all timeframes, for links from one to the others."""
    return SHORTEST_FIRST


def ago(ms: int, now_ms: int) -> str:
    """Return how long ago a time was, in its largest unit."""
    seconds = max(0, now_ms - ms) // 1000
    for size, unit in UNITS:
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"


def until(ms: int, now_ms: int) -> str:
    """Return in how long a time is, in its largest unit."""
    seconds = -(-(ms - now_ms) // 1000)
    if seconds <= 0:
        return "now"
    for size, unit in UNITS:
        if seconds >= 2 * size:
            return f"in {seconds // size} {unit}"
    return f"in {seconds} s"


@register.filter
def spark_points(values: list[float]) -> str:
    """Return the points of a polyline, the newest value at the right edge, the highest on top."""
    if not values:
        return ""
    top = max(*values, 1)
    first = SPARK_POINTS - len(values)
    return " ".join(
        f"{first + at},{SPARK_HEIGHT - 1 - value / top * (SPARK_HEIGHT - 3):.1f}"
        for at, value in enumerate(values)
    )


@register.filter
def legend(grid: dict) -> list[dict]:
    """Return how many pairs are in which state, for all states, with their names and glyphs."""
    return _states(grid, CELLS)


@register.filter
def aside_legend(grid: dict) -> list[dict]:
    """Return the same of the pairs that are set aside."""
    return _states(grid, ASIDE_CELLS)


@register.filter
def idle_legend(grid: dict) -> list[dict]:
    """Return the same of the pairs of symbols that do not trade."""
    return _states(grid, IDLE_CELLS)


def _states(grid, cells):
    codes = "".join(grid["rows"]) if grid else ""
    return [
        {"code": code, "name": name, "glyph": glyph, "count": codes.count(code)}
        for code, (name, glyph) in cells.items()
    ]


@register.simple_tag
def grid_rows(card: dict) -> SafeString:
    """Return the rows of a card's grid, each cell a link to its pair, in chunks."""
    grid, polled = card["grid"], card.get("polled", {})
    prices = card.get("prices") or {}
    rows = [
        _row(
            f"{card['exchangeId']}/pairs/{quote(symbol, safe='')}/",
            *(symbol, grid, codes, polled.get(symbol, ()), prices.get(symbol)),
        )
        for symbol, codes in zip(grid["symbols"], grid["rows"], strict=True)
    ]
    chunks = [rows[at : at + ROWS_IN_CHUNK] for at in range(0, len(rows), ROWS_IN_CHUNK)]
    return format_html_join(
        "\n",
        '<div role="rowgroup" class="chunk">{}</div>',
        ((format_html_join("\n", "{}", ((row,) for row in chunk)),) for chunk in chunks),
    )


def _price(price):
    if price is None:
        return NO_PRICE
    text, change = price
    tone = "up" if change > 0 else "down" if change < 0 else ""
    sign = {"up": "+", "down": "−"}.get(tone, "")
    return format_html(
        '<span class="last-price">{}</span> <span class="change {}">{}{} %</span>',
        *(text, tone, sign, f"{abs(change):.2f}"),
    )


def _row(path, symbol, grid, codes, polled, price):
    title = format_html(' title="{}"', POLLED)
    cells = format_html_join(
        "",
        '<span role="gridcell"><a href="{}{}/" class="cell" data-code="{}"{} '
        'aria-label="{} {}: {}">{}</a></span>',
        (
            (path, timeframe, code, title if timeframe in polled else "", symbol, timeframe)
            + (CELLS | ASIDE_CELLS | IDLE_CELLS)[code]
            for timeframe, code in zip(grid["timeframes"], codes, strict=True)
        ),
    )
    return format_html(
        '<div role="row" class="pairs"><span role="rowheader">{}</span>'
        '<span role="gridcell" class="price">{}</span>{}</div>',
        *(symbol, _price(price), cells),
    )
