// A pair's candles, volume and MACD-V, drawn by Lightweight Charts (a global, from its own script).

import { decimalsOf, plain, short } from "../numbers.js";
import { exact } from "../times.js";
import { faded, themeColors, watchTheme } from "./colors.js";
import { Marks } from "./marks.js";

const DAY_MS = 86_400_000;
const BARS_AT_FIRST = 150;
const LEAST_CANDLES = 40; // of a quiet pair that takes more bars
const BARS_AHEAD = 3;
const BARS_LEFT = 20; // of those that are here, when older ones are asked for
const PANES = [5, 1.2, 2.8]; // how high price, volume and MACD-V are
const LEVELS = [-150, -50, 50, 150];
const LEAST_MACDV = 60; // is in sight, above and below
const PRICES_LOOKED_AT = 200; // for how many decimals they have
const PAST = 0.5; // opacity of bars that stand behind a line
const ZOOM = { "+": 0.8, "=": 0.8, "-": 1.25 };
const STEPS = { ArrowLeft: -1, ArrowRight: 1, PageUp: -20, PageDown: 20 };

export class PairChart {
  /** `onBar(time)` is told which bar is looked at, null for none; `onOldest()` that the reader
      comes to the oldest one. */
  constructor(element, data, { onBar, onOldest }) {
    const { createChart } = LightweightCharts;
    Object.assign(this, { element, data, onBar, onOldest });
    this.chart = createChart(element, { autoSize: true, ...this.behaviour() });
    this.addSeries();
    this.marks = ["candles", "volume", "histogram"].map((name) => {
      const marks = new Marks(this.chart);
      this.series[name].attachPrimitive(marks);
      return marks;
    });
    this.paint();
    this.look();
    this.listen();
  }

  behaviour() {
    const timeFormatter = (seconds) => exact(seconds * 1000).slice(0, 16);
    return {
      layout: { attributionLogo: false }, // it stands below the chart, as a link
      localization: { timeFormatter },
      timeScale: { timeVisible: this.data.barMs < DAY_MS, secondsVisible: false },
      handleScroll: { vertTouchDrag: false, mouseWheel: true },
      handleScale: { mouseWheel: false }, // a page is scrolled by it, until the chart was chosen
      crosshair: { mode: LightweightCharts.CrosshairMode.Normal },
    };
  }

  addSeries() {
    const { CandlestickSeries, HistogramSeries, LineSeries } = LightweightCharts;
    const aside = { lastValueVisible: false, priceLineVisible: false };
    const two = { type: "custom", minMove: 0.01, formatter: (value) => value.toFixed(2) };
    const volume = { type: "custom", minMove: 1e-12, formatter: short };
    const line = { ...aside, lineWidth: 1.5, crosshairMarkerRadius: 3, priceFormat: two };
    const add = (type, options, pane) => this.chart.addSeries(type, options, pane);
    this.series = {
      candles: add(CandlestickSeries, { borderVisible: false }, 0),
      volume: add(HistogramSeries, { ...aside, priceFormat: volume }, 1),
      histogram: add(HistogramSeries, { ...aside, priceFormat: two, autoscaleInfoProvider: levelled }, 2),
      value: add(LineSeries, { ...line, lastValueVisible: true }, 2),
      signal: add(LineSeries, line, 2),
    };
    this.chart.panes().forEach((pane, at) => pane.setStretchFactor(PANES[at]));
    this.levels = LEVELS.map((price) =>
      this.series.histogram.createPriceLine({ price, lineWidth: 1, axisLabelVisible: false }),
    );
  }

  listen() {
    this.chart.subscribeCrosshairMove(({ time, sourceEvent }) => {
      if (sourceEvent) this.at = null;
      if (!this.at) this.onBar(time ? time * 1000 : null);
    });
    this.chart.timeScale().subscribeVisibleLogicalRangeChange((range) => {
      if (range && range.from < BARS_LEFT) this.onOldest();
    });
    this.element.addEventListener("keydown", (event) => this.press(event));
    const zoomsByWheel = (mouseWheel) => this.chart.applyOptions({ handleScale: { mouseWheel } });
    this.element.addEventListener("pointerdown", () => this.element.focus({ preventScroll: true }));
    this.element.addEventListener("focus", () => zoomsByWheel(true));
    this.element.addEventListener("blur", () => (zoomsByWheel(false), this.leave()));
    watchTheme(() => this.paint());
  }

  /** Draw all of it in the colours of now. */
  paint() {
    const colors = (this.colors = themeColors());
    this.chart.applyOptions({
      layout: {
        background: { color: "transparent" },
        textColor: colors.text,
        fontFamily: getComputedStyle(document.body).fontFamily,
        panes: { separatorColor: colors.grid, separatorHoverColor: colors.panel },
      },
      grid: { vertLines: { color: colors.grid }, horzLines: { color: colors.grid } },
      crosshair: {
        vertLine: { color: colors.level, labelBackgroundColor: colors.text },
        horzLine: { color: colors.level, labelBackgroundColor: colors.text },
      },
      timeScale: { borderColor: colors.grid },
      rightPriceScale: { borderColor: colors.grid },
    });
    const { up, down } = colors;
    const tones = { upColor: up, downColor: down, wickUpColor: up, wickDownColor: down };
    this.series.candles.applyOptions(tones);
    this.series.value.applyOptions({ color: colors.value });
    this.series.signal.applyOptions({ color: colors.signal });
    this.levels.forEach((line, at) => {
      const lineStyle = Math.abs(LEVELS[at]) === 150 ? 0 : 1;
      line.applyOptions({ color: colors.level, lineStyle });
    });
    this.drawn = {};
    this.draw();
  }

  /** Draw what the data holds now, where the reader has moved to. */
  draw() {
    this.times = this.data.times();
    const seen = this.bars();
    this.fitDecimals(seen);
    for (const [name, item] of Object.entries(this.items())) this.bring(name, seen.map(item));
    const places = this.data.missing.map((stretch) => stretch.map((time) => this.place(time)));
    const quiet = this.data.quiet().map((time) => this.place(time));
    this.quiet = new Set(quiet);
    if (this.at) this.point();
    this.marks.forEach((marks, pane) => marks.show(places, pane === 1 ? quiet : [], this.colors));
  }

  /** Return what is known of each bar; `isLast`: a hole follows it, so no line leads on. */
  bars() {
    let isLast = false;
    const backwards = this.times.toReversed().map((time) => {
      const bar = { time: time / 1000, ...this.data.at(time), isLast };
      isLast = bar.candle ? false : isLast || this.data.isMissing(time);
      return bar;
    });
    return backwards.reverse();
  }

  /** Return how a bar is shown in each series; without a value it is a place on the axis. */
  items() {
    const { colors } = this;
    const tone = (isUp) => faded(isUp ? colors.up : colors.down, PAST);
    const number = (time, value, more) => (typeof value === "number" ? { time, value, ...more } : { time });
    const broken = (isLast) => isLast && { color: "transparent" };
    return {
      candles: ({ time, candle }) => {
        if (!candle) return { time };
        const [, open, high, low, close] = candle;
        return { time, open, high, low, close };
      },
      volume: ({ time, candle }) =>
        number(time, candle?.[5], candle && { color: tone(candle[4] >= candle[1]) }),
      histogram: ({ time, macdv }) => number(time, macdv?.[2], { color: tone(macdv?.[2] >= 0) }),
      value: ({ time, macdv, isLast }) => number(time, macdv?.[0], broken(isLast)),
      signal: ({ time, macdv, isLast }) => number(time, macdv?.[1], broken(isLast)),
    };
  }

  /** Give a series what is new at its end, or all of it where more has changed. */
  bring(name, items) {
    const before = this.drawn[name];
    this.drawn[name] = items;
    const last = before ? before.length - 1 : -1;
    const follows = last > 0 && items.length > last && items.slice(0, last).every((item, at) => same(item, before[at]));
    if (!follows) {
      this.series[name].setData(items);
      return;
    }
    const fresh = items.slice(last).filter((item, at) => at > 0 || !same(item, before[last]));
    for (const item of fresh) this.series[name].update(item);
  }

  fitDecimals(seen) {
    const prices = seen.slice(-PRICES_LOOKED_AT).flatMap(({ candle }) => candle?.slice(1, 5) ?? []);
    const decimals = decimalsOf(prices);
    if (decimals === this.decimals) return;
    this.decimals = decimals;
    const formatter = (price) => plain(Number(price.toFixed(decimals)));
    const priceFormat = { type: "custom", minMove: 10 ** -decimals, formatter };
    this.series.candles.applyOptions({ priceFormat });
  }

  /** Return where on the axis a time is: the number of bars before it. */
  place(time) {
    let [low, high] = [0, this.times.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.times[middle] < time) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Tell why there is no candle: "missing", "quiet", or "" where nobody knows. */
  whyNone(time) {
    if (this.data.isMissing(time)) return "missing";
    return this.quiet.has(this.place(time)) ? "quiet" : "";
  }

  /** Go to the newest bars, as many as are shown at first. */
  look() {
    const candles = this.data.candles();
    const enough = candles.at(-LEAST_CANDLES)?.[0] ?? candles[0]?.[0] ?? 0;
    const count = this.times.length;
    const from = Math.max(0, Math.min(count - BARS_AT_FIRST, this.place(enough)));
    this.chart.timeScale().setVisibleLogicalRange({ from: from - 1, to: count - 1 + BARS_AHEAD });
  }

  /** Show `factor` times as many bars, up to the same newest one. */
  zoom(factor) {
    const scale = this.chart.timeScale();
    const { from, to } = scale.getVisibleLogicalRange();
    scale.setVisibleLogicalRange({ from: to - (to - from) * factor, to });
  }

  /** Look at one bar after the other by keys. */
  press(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key in ZOOM) this.zoom(ZOOM[event.key]);
    else if (event.key in STEPS) this.step(this.current() + STEPS[event.key]);
    else if (event.key === "Home") this.step(0);
    else if (event.key === "End") this.step(this.times.length - 1);
    else return;
    event.preventDefault();
  }

  /** Return the place of the bar that was chosen by keys, behind the newest where none was. */
  current() {
    return this.at ? this.place(this.at) : this.times.length;
  }

  step(wanted) {
    if (!this.times.length) return;
    const place = Math.min(this.times.length - 1, Math.max(0, wanted));
    this.at = this.times[place];
    const scale = this.chart.timeScale();
    const { from, to } = scale.getVisibleLogicalRange();
    const move = place < from ? place - from - 1 : Math.max(0, place + 1 - to);
    if (move) scale.setVisibleLogicalRange({ from: from + move, to: to + move });
    this.point();
    this.onBar(this.at);
  }

  point() {
    const price = this.data.at(this.at).candle?.[4] ?? this.data.candles().at(-1)[4];
    this.chart.setCrosshairPosition(price, this.at / 1000, this.series.candles);
  }

  leave() {
    this.at = null;
    this.chart.clearCrosshairPosition();
    this.onBar(null);
  }
}

/** Keep the levels of MACD-V in sight, however little it moves. */
function levelled(original) {
  const found = original();
  const { minValue = 0, maxValue = 0 } = found?.priceRange ?? {};
  const priceRange = {
    minValue: Math.min(minValue, -LEAST_MACDV),
    maxValue: Math.max(maxValue, LEAST_MACDV),
  };
  return { ...found, priceRange };
}

function same(one, other) {
  return KEYS.every((key) => one[key] === other[key]);
}

const KEYS = ["time", "open", "high", "low", "close", "value", "color"];
