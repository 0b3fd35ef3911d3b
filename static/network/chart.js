// A pair's candles, volume and MACD-V, drawn by Plotly (a global, from its own script).

import { fixedFormat } from "./numbers.js";

const BARS_AT_FIRST = 150;
const LEAST_CANDLES = 40; // of a quiet pair that takes more bars
const BARS_AHEAD = 3;
const LEVELS = [-150, -50, 50, 150];
const ROOM = 0.06; // above and below what is shown
const CLEAR = "rgba(0,0,0,0)";
const CONFIG = {
  responsive: true,
  displaylogo: false,
  modeBarButtons: [["zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d"]],
};

export class PairChart {
  constructor(element, data) {
    this.element = element;
    this.data = data;
    this.end = data.end();
    this.range = this.firstRange();
    this.draw();
    element.on("plotly_relayouting", () => (this.dragging = true));
    element.on("plotly_relayout", (change) => this.moved(change));
    const again = () => this.draw();
    new MutationObserver(again).observe(document.documentElement, {
      attributeFilter: ["data-theme"],
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  }

  /** Draw what the data holds now, where the reader has moved to. */
  draw() {
    if (this.dragging) return;
    this.follow();
    const colors = themeColors();
    const candles = this.data.candles();
    const points = this.data.macdv();
    const traces = [...this.candleTraces(candles, colors), ...macdvTraces(points, colors)];
    const layout = this.layout(this.ranges(candles, points), colors);
    layout.yaxis.tickformat = fixedFormat(candles.flatMap((row) => row.slice(1, 5)));
    Plotly.react(this.element, traces, layout, CONFIG);
  }

  firstRange() {
    const candles = this.data.candles();
    const oldest = candles[0]?.[0] ?? this.end;
    const enough = candles.at(-LEAST_CANDLES)?.[0] ?? oldest;
    const start = Math.min(enough, this.end - BARS_AT_FIRST * this.data.barMs);
    return this.around(Math.max(start, oldest));
  }

  whole() {
    return this.around(this.data.candles()[0]?.[0] ?? this.end);
  }

  around(start) {
    return [start - this.data.barMs, this.end + BARS_AHEAD * this.data.barMs];
  }

  /** Move along with time while the newest bar is in sight. */
  follow() {
    const end = this.data.end();
    if (this.range[1] > this.end) this.range = this.range.map((edge) => edge + end - this.end);
    this.end = end;
  }

  /** Fit the heights to what the reader moved to. */
  moved(change) {
    this.dragging = false;
    const from = change["xaxis.range[0]"] ?? change["xaxis.range"]?.[0];
    const to = change["xaxis.range[1]"] ?? change["xaxis.range"]?.[1];
    if (from === undefined && !change["xaxis.autorange"]) return; // heights, which we set
    this.range = from === undefined ? this.whole() : [asMs(from), asMs(to)];
    this.draw();
  }

  /** Return the vertical ranges that fit what is in sight. */
  ranges(candles, points) {
    const [from, to] = this.range;
    const inSight = ([time]) => time >= from - this.data.barMs && time <= to;
    const shown = candles.filter(inSight);
    const numbers = points.filter(inSight).flatMap(([, ...each]) => each);
    const known = numbers.filter((number) => number !== null);
    return {
      price: padded(shown.map((row) => row[3]), shown.map((row) => row[2])),
      volume: [0, Math.max(...shown.map((row) => row[5]), 1e-9) * 1.1],
      macdv: padded([-60, ...known], [60, ...known]),
    };
  }

  candleTraces(candles, colors) {
    const column = (at) => candles.map((row) => row[at]);
    const kind = (color) => ({ line: { color, width: 1 }, fillcolor: color });
    const quiet = this.data.quiet();
    return [
      {
        type: "candlestick",
        name: "Price",
        x: column(0),
        open: column(1),
        high: column(2),
        low: column(3),
        close: column(4),
        increasing: kind(colors.up),
        decreasing: kind(colors.down),
      },
      bars("Volume", "y2", column(0), column(5), candles.map((row) => row[4] >= row[1]), colors),
      {
        type: "scatter",
        mode: "markers",
        name: "Quiet",
        x: quiet,
        y: quiet.map(() => 0),
        yaxis: "y2",
        cliponaxis: false,
        marker: { symbol: "line-ns", size: 8, line: { color: colors.quiet, width: 1.5 } },
        hovertemplate: "nothing was traded<extra></extra>",
      },
    ];
  }

  layout(ranges, colors) {
    const axis = {
      gridcolor: colors.grid,
      zerolinecolor: colors.grid,
      linecolor: colors.grid,
      tickfont: { color: colors.text },
    };
    const height = { ...axis, fixedrange: true, side: "right" };
    const title = (text) => ({ text, font: { size: 11, color: colors.text }, standoff: 8 });
    const steep = ranges.macdv[1] - ranges.macdv[0] > 450;
    return {
      uirevision: "kept",
      dragmode: "pan",
      hovermode: "x",
      showlegend: false,
      bargap: 0.25,
      margin: { l: 8, r: 72, t: 30, b: 42 },
      paper_bgcolor: CLEAR,
      plot_bgcolor: CLEAR,
      modebar: { bgcolor: CLEAR, color: colors.level, activecolor: colors.value },
      font: { family: getComputedStyle(document.body).fontFamily, size: 11, color: colors.text },
      hoverlabel: { bgcolor: colors.panel, bordercolor: colors.grid, font: { color: colors.text } },
      xaxis: {
        ...axis,
        type: "date",
        anchor: "y3",
        range: this.range,
        rangeslider: { visible: false },
      },
      yaxis: { ...height, domain: [0.46, 1], range: ranges.price },
      yaxis2: {
        ...height,
        domain: [0.33, 0.44],
        range: ranges.volume,
        title: title("Volume"),
        nticks: 3,
        tickformat: ranges.volume[1] < 1 ? fixedFormat(ranges.volume) : "", // else 1.2M
      },
      yaxis3: {
        ...height,
        domain: [0, 0.3],
        range: ranges.macdv,
        title: title("MACD-V"),
        tick0: 0,
        dtick: steep ? 100 : 50,
      },
      shapes: [
        ...this.data.missing.map((range) => hole(range, colors)),
        ...LEVELS.map((level) => levelLine(level, colors)),
      ],
    };
  }
}

function macdvTraces(points, colors) {
  const column = (at) => points.map((point) => point[at]);
  const line = (name, at, color) => ({
    type: "scatter",
    mode: "lines",
    name,
    x: column(0),
    y: column(at),
    yaxis: "y3",
    line: { color, width: 1.5 },
    hovertemplate: `%{y:.2f}<extra>${name}</extra>`,
  });
  return [
    bars("Histogram", "y3", column(0), column(3), column(3).map((value) => value >= 0), colors),
    line("MACD-V", 1, colors.value),
    line("Signal", 2, colors.signal),
  ];
}

function bars(name, yaxis, x, y, up, colors) {
  const color = up.map((is) => (is ? colors.up : colors.down));
  const marker = { color, opacity: 0.5, line: { width: 0 } };
  const hovertemplate = `%{y:${fixedFormat(y)}}<extra>${name}</extra>`;
  return { type: "bar", name, x, y, yaxis, marker, hovertemplate };
}

function hole([from, to], { hole: color }) {
  return {
    type: "rect",
    xref: "x",
    yref: "paper",
    x0: from,
    x1: to,
    y0: 0,
    y1: 1,
    fillcolor: color,
    opacity: 0.22,
    line: { color, width: 1 },
    layer: "below",
  };
}

function levelLine(level, colors) {
  return {
    type: "line",
    xref: "paper",
    yref: "y3",
    x0: 0,
    x1: 1,
    y0: level,
    y1: level,
    line: { color: colors.level, width: 1, dash: Math.abs(level) === 150 ? "solid" : "dot" },
    layer: "below",
  };
}

function padded(lows, highs) {
  if (!lows.length) return [0, 1];
  const [low, high] = [Math.min(...lows), Math.max(...highs)];
  const room = (high - low || Math.abs(high) || 1) * ROOM;
  return [low - room, high + room];
}

function asMs(time) {
  if (typeof time === "number") return time;
  const [day, clock = "00:00"] = time.split(" "); // Plotly gives back UTC as text without a zone
  return Date.parse(`${day}T${clock}Z`);
}

/** Return the page's colours as Plotly takes them: variables resolved for the theme of now. */
function themeColors() {
  const probe = document.createElement("i");
  document.getElementById("pair").append(probe);
  const names = {
    up: "--solid-good",
    down: "--solid-bad",
    hole: "--solid-bad",
    quiet: "--solid-warn",
    value: "--solid-busy",
    signal: "--solid-warn",
    grid: "--line",
    level: "--strong-line",
    text: "--quiet",
    panel: "--card-bg",
  };
  for (const [use, name] of Object.entries(names)) {
    probe.style.color = `var(${name})`;
    names[use] = getComputedStyle(probe).color;
  }
  probe.remove();
  return names;
}
