"""A picture of a pair's last 60 bars: candles, and MACD-V with its signal below them."""

import io
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from math import isfinite
from typing import Any, NamedTuple

from django_redis import get_redis_connection

from alerts.evaluating.cooling import AGAIN
from alerts.kinds import KINDS
from alerts.models import Alert
from alerts.signals.momentum import EXTREME
from alerts.signals.words import price
from livermore.market.indicators import MacdVSeries, Row, macd_v_series
from livermore.market.pair import Pair
from livermore.market.timeframe import Timeframe
from warmup.cache.candles import CANDLES_KEPT, CandleCache

logger = logging.getLogger(__name__)

BARS = 60
WIDTH, HEIGHT, MARGIN, SCALE_WIDTH = 640, 420, 12, 76
CANDLES_TOP, CANDLES_BOTTOM = 34, 270
MACD_TOP, MACD_BOTTOM = 290, 396
BODY = 0.7  # of a bar's width
TEXT_SIZE = 12
PAPER, INK, PALE = "#ffffff", "#222222", "#cccccc"
UP, DOWN, VALUE, SIGNAL = "#1a8f5a", "#c83c3c", "#2457c5", "#e08a00"


def picture_of(alert: Alert) -> bytes | None:
    """Return a PNG of the first pair that an alert is about, as of when it happened last.

    None where it is about no signal, or nothing can be drawn: a message goes out without it then.
    """
    kind = KINDS.get(alert.what)
    if kind is None or not kind.in_full or alert.exchange is None or not alert.members:
        return None
    try:
        symbol, _, timeframe = AGAIN.sub("", min(alert.members)).partition(" ")
        pair = Pair(symbol, Timeframe(timeframe))
        cache = CandleCache(get_redis_connection("default"), alert.exchange.pk)
        # What waited may have begun with another pair; the clock here may be behind the exchange's.
        until_ms = int(1000 * max(alert.first_seen, alert.last_seen).timestamp())
        rows = [
            candle.values()
            for candle in cache.newest(*pair, CANDLES_KEPT)
            if candle.close_time_ms <= until_ms
        ]
        return drawn(rows, pair, f"{pair.symbol} {pair.timeframe} at {alert.exchange.name}")
    except Exception as error:  # whatever it is, the message is worth more
        logger.warning("alerts.not_drawn error=%s", type(error).__name__)
        return None


class Plot(NamedTuple):
    """Where numbers from `low` to `high` are drawn, between two heights in pixels."""

    top: float
    bottom: float
    low: float
    high: float

    def y(self, number: float) -> float:
        """Return the height of a number."""
        share = (number - self.low) / (self.high - self.low or 1.0)
        return self.bottom - share * (self.bottom - self.top)


def drawn(rows: Sequence[Row], pair: Pair, title: str) -> bytes | None:
    """Return a PNG of the last 60 rows, None for none; MACD-V stands on all that are given."""
    from PIL import Image, ImageDraw, ImageFont  # 20 ms and 11 MB, where something is drawn

    if not rows:
        return None
    series = macd_v_series(rows, pair.timeframe)
    shown = rows[-BARS:]
    image = Image.new("RGB", (WIDTH, HEIGHT), PAPER)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(TEXT_SIZE)
    ended = datetime.fromtimestamp((shown[-1][0] + pair.timeframe.ms) / 1000, UTC)
    draw.text((MARGIN, MARGIN), f"{title}, closed {ended:%Y-%m-%d %H:%M} UTC", INK, font)
    _candles(draw, font, shown)
    _momentum(draw, font, MacdVSeries(*(numbers[-BARS:] for numbers in series)))
    written = io.BytesIO()
    image.save(written, "PNG", optimize=True)
    return written.getvalue()


def _x(at: float) -> float:
    """Return the middle of the bar of that number, in pixels."""
    return MARGIN + (at + 0.5) * (WIDTH - MARGIN - SCALE_WIDTH) / BARS


def _candles(draw: Any, font: Any, rows: Sequence[Row]) -> None:
    lows, highs = [row[3] for row in rows], [row[2] for row in rows]
    plot = Plot(CANDLES_TOP, CANDLES_BOTTOM, min(lows), max(highs))
    half = BODY * (_x(1) - _x(0)) / 2
    for at, (_, first, high, low, last, *_others) in enumerate(rows):
        color = UP if last >= first else DOWN
        draw.line([(_x(at), plot.y(high)), (_x(at), plot.y(low))], color)
        top, bottom = plot.y(max(first, last)), plot.y(min(first, last))
        draw.rectangle([_x(at) - half, top, _x(at) + half, max(bottom, top + 1)], color)
    last = rows[-1][4]
    for number in (plot.low, plot.high):
        is_apart = abs(plot.y(number) - plot.y(last)) > TEXT_SIZE
        _label(draw, font, plot, number, price(number) if is_apart else "", PALE)
    _label(draw, font, plot, last, price(last), INK)


def _momentum(draw: Any, font: Any, series: MacdVSeries) -> None:
    known = [each for numbers in series for each in numbers if isfinite(each)]
    if not known:
        draw.text((MARGIN, MACD_TOP), "MACD-V is not known yet", INK, font)
        return
    plot = Plot(MACD_TOP, MACD_BOTTOM, min(-EXTREME, *known), max(EXTREME, *known))
    for level in (-EXTREME, 0.0, EXTREME):
        _label(draw, font, plot, level, f"{level:g}", PALE)
    half = BODY * (_x(1) - _x(0)) / 2
    for at, each in enumerate(series.histograms):
        if isfinite(each):
            top, bottom = sorted((plot.y(each), plot.y(0)))
            draw.rectangle([_x(at) - half, top, _x(at) + half, bottom], PALE)
    for numbers, color in ((series.signals, SIGNAL), (series.values, VALUE)):
        line = [(_x(at), plot.y(each)) for at, each in enumerate(numbers) if isfinite(each)]
        draw.line(line, color, 2)
    draw.text((MARGIN, MACD_BOTTOM + 6), "MACD-V", VALUE, font)
    draw.text((MARGIN + 64, MACD_BOTTOM + 6), "signal", SIGNAL, font)
    if isfinite(series.values[-1]):
        _label(draw, font, plot, series.values[-1], f"{series.values[-1]:.1f}", VALUE)


def _label(draw: Any, font: Any, plot: Plot, number: float, text: str, color: str) -> None:
    """Draw a line at a number as wide as the plot, and write it at its end."""
    y = plot.y(number)
    end = WIDTH - SCALE_WIDTH
    draw.line([(MARGIN, y), (end, y)], color)
    draw.text((end + 4, y - TEXT_SIZE / 2 - 2), text, INK if color == PALE else color, font)
