// A pair's page: its chart, table and MACD-V, live over the same socket as the Network page's.

import { enhanceActions } from "../actions.js";
import { Feed, LinkBanner } from "../feed.js";
import { plain } from "../numbers.js";
import { exact, receivedFromServer, setServerTime, tickTimes } from "../times.js";
import { toast } from "../toasts.js";
import { PairChart } from "./chart.js";
import { enhanceCopying } from "./copy.js";
import { PairData } from "./data.js";
import { showLegend } from "./legend.js";
import { fetchOlder } from "./older.js";

const MINUTES = { "1m": 1, "5m": 5, "15m": 15, "1h": 60, "4h": 240, "1d": 1440 };
const ROWS_SHOWN = 20;

const pair = JSON.parse(document.getElementById("pair-data").textContent);
const { exchangeId, symbol, timeframe } = pair;
const data = new PairData(pair, MINUTES[timeframe] * 60_000);
let chart = null;
let looked = null; // the open time of the bar that is looked at
let asking = false; // for older candles, or there are none

const take = {
  snapshot({ serverTime, cards }) {
    setServerTime(serverTime);
    showState(cards.find((card) => card.exchangeId === exchangeId) ?? {});
  },

  card(message) {
    if (message.exchangeId === exchangeId) showState(message.changes);
  },

  pair(message) {
    receivedFromServer(message.serverTime);
    data.take(message);
    show(message.indicator);
  },

  error({ text }) {
    toast(text, { bad: true });
  },
};

function show(indicator) {
  chart?.draw();
  showBar();
  showCandles();
  showIndicator(indicator);
  showMarks();
}

/** Show the numbers of the bar that is looked at, else of the newest candle. */
function showBar() {
  const time = looked ?? data.candles().at(-1)?.[0];
  if (!chart || time === undefined) return;
  showLegend(document.getElementById("bar"), time, data.at(time), chart.whyNone(time));
}

async function showOlder() {
  if (asking || data.oldest() === null) return;
  asking = true;
  try {
    const found = await fetchOlder(data.oldest());
    data.takeOlder(found);
    asking = !found.candles.length;
    chart.draw();
    showMarks();
  } catch (error) {
    toast(`Older candles: ${error.message}`, { bad: true });
  }
}

/** Show what the exchange does: the socket may be live while nothing comes from there. */
function showState({ state, stateText }) {
  const pill = document.querySelector(".pill");
  if (state) pill.parentElement.dataset.state = state;
  if (stateText) setText(pill, stateText);
  pill.hidden = !pill.textContent;
}

function showMarks() {
  const stretches = data.missing.length;
  const bars = data.quiet().length;
  setText(document.querySelector("[data-missing]"), `(${counted(stretches, "stretch", "es")})`);
  setText(document.querySelector("[data-quiet]"), `(${counted(bars, "bar")})`);
}

function counted(number, what, ending = "s") {
  return `${number} ${what}${number === 1 ? "" : ending}`;
}

function showCandles() {
  const rows = data.closed().slice(-ROWS_SHOWN).reverse();
  document.querySelector("#candles tbody").replaceChildren(...rows.map(candleRow));
}

function candleRow([time, ...numbers]) {
  const row = document.createElement("tr");
  const head = document.createElement("th");
  head.scope = "row";
  head.textContent = minute(time);
  row.append(head);
  for (const number of numbers) row.insertCell().textContent = plain(number);
  return row;
}

function showIndicator(indicator) {
  document.querySelector("[data-no-indicator]").hidden = Boolean(indicator);
  const facts = document.getElementById("indicator");
  facts.hidden = !indicator;
  if (!indicator) return;
  const text = {
    ...indicator,
    value: two(indicator.value),
    signal: two(indicator.signal),
    histogram: two(indicator.histogram),
    liquidity: two(indicator.liquidity),
    stage: indicator.stage ?? indicator.reason,
    seeded: indicator.seeded ? "yes" : "no",
    coverageComplete: indicator.coverageComplete ? "yes" : "no",
    timestamp: minute(indicator.timestamp),
    window: `${minute(indicator.firstTimestamp)} to ${minute(indicator.lastTimestamp)}`,
  };
  for (const element of facts.querySelectorAll("[data-fact]")) {
    setText(element, text[element.dataset.fact]);
  }
}

function two(number) {
  return typeof number === "number" ? number.toFixed(2) : "";
}

function minute(ms) {
  return ms ? exact(ms).slice(0, 16) : "";
}

function setText(element, text) {
  const wanted = String(text ?? "");
  if (element.textContent !== wanted) element.textContent = wanted;
}

const banner = new LinkBanner(document.getElementById("link"), () => feed);
const feed = new Feed({
  onMessage: (message) => {
    banner.receive(message);
    take[message.type]?.(message);
  },
  onLink: (link) => banner.show(link),
  onOpen: () => feed.send({ type: "open-pair", exchangeId, symbol, timeframe }),
});

document.documentElement.classList.add("js");
setServerTime(pair.serverTime);
if (window.LightweightCharts) {
  const onBar = (time) => ((looked = time), showBar());
  chart = new PairChart(document.getElementById("chart"), data, { onBar, onOldest: showOlder });
  for (const [name, work] of Object.entries({
    closer: () => chart.zoom(0.6),
    farther: () => chart.zoom(1.6),
    newest: () => chart.look(),
  })) {
    document.querySelector(`[data-chart=${name}]`).addEventListener("click", work);
  }
  showBar();
}
enhanceCopying();
tickTimes();
enhanceActions();
showMarks();
feed.connect();
