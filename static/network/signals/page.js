// The Signals page: begins with what it came with, then follows the same socket as the others.

import { Feed, LinkBanner } from "../feed.js";
import { receivedFromServer, setServerTime } from "../times.js";
import { toast } from "../toasts.js";
import { STAGES, SignalModel, TIMEFRAMES } from "./model.js";
import { SignalTable } from "./table.js";

const PAIRS = document.getElementById("signals").dataset.pairs; // the address of one, to be filled
const LATER_MS = 2000; // after that the order is looked at again, where a row was in use

const told = JSON.parse(document.getElementById("signals-data").textContent);
const model = new SignalModel(told.exchanges);
const wanted = { text: "", exchange: "", stages: new Set(), column: null };
const sort = { by: "symbol", down: false };
const controls = Object.fromEntries(
  ["text", "exchange", "timeframe"].map((name) => [name, document.querySelector(`[data-wanted=${name}]`)]),
);
const table = new SignalTable(document.getElementById("grid"), model, addressOf);

function addressOf({ exchange, symbol }, timeframe) {
  return `${PAIRS}${exchange.exchangeId}/pairs/${encodeURIComponent(symbol)}/${timeframe}/`;
}

const take = {
  snapshot({ serverTime, cards }) {
    setServerTime(serverTime);
    const ids = new Set(cards.map(({ exchangeId }) => exchangeId));
    for (const id of model.exchanges.keys()) if (!ids.has(id)) model.remove(id);
    show();
  },

  signals(message) {
    receivedFromServer(message.serverTime);
    if (!model.take(message)) feed.send({ type: "open-signals" });
    else if (Object.keys(message.changes).length) show();
  },

  gone({ exchangeId }) {
    model.remove(exchangeId);
    show();
  },

  error({ text }) {
    toast(text, { bad: true });
  },
};

/** Show what is known now; a row that somebody is about to choose stays where it is. */
function show({ anew = false } = {}) {
  showExchanges();
  clearTimeout(show.later);
  if (!anew && table.isInUse && isSame(table.rows)) {
    table.ask();
    show.later = setTimeout(show, LATER_MS);
  } else {
    table.show(model.find(wanted, sort));
  }
  showCounts();
}

/** Tell whether all of these rows are still there. */
function isSame(rows) {
  const all = new Set(model.rows);
  return rows.length > 0 && rows.every((row) => all.has(row));
}

function showExchanges() {
  const all = [...model.exchanges.values()].filter(({ symbols }) => symbols.length);
  const options = ["", ...all.map(({ name }) => name)];
  if (!options.includes(wanted.exchange)) wanted.exchange = "";
  const select = controls.exchange;
  if ([...select.options].map(({ value }) => value).join() !== options.join()) {
    const names = Object.fromEntries(all.map((each) => [each.name, each.displayName]));
    select.replaceChildren(...options.map((name) => new Option(names[name] ?? "all exchanges", name)));
    select.value = wanted.exchange;
  }
  const states = all.filter(({ name }) => !wanted.exchange || name === wanted.exchange);
  const box = document.getElementById("states");
  const lines = states.map(({ displayName, state, stateText }) => ({ state, text: `${displayName}: ${stateText}` }));
  const key = JSON.stringify(lines);
  if (box.dataset.key === key) return;
  box.dataset.key = key;
  box.replaceChildren(...lines.map(pill));
}

function pill({ state, text }) {
  const made = document.createElement("span");
  made.dataset.state = state;
  made.className = "state";
  const inner = document.createElement("span");
  inner.className = "pill";
  inner.textContent = text;
  made.append(inner);
  return made;
}

function showCounts() {
  const rows = table.rows;
  const all = model.rows.length;
  const text = rows.length === all ? `${all} symbols` : `${rows.length} of ${all} symbols`;
  setText(document.querySelector("[data-shown]"), text);
  const rest = { ...wanted, stages: new Set() };
  const counts = model.counts(model.find(rest, { by: "symbol" }), wanted.column);
  for (const button of document.querySelectorAll("[data-stage-filter]")) {
    const letter = button.dataset.stageFilter;
    setText(button.querySelector("b"), String(counts[letter] ?? 0));
    button.setAttribute("aria-pressed", wanted.stages.has(letter));
  }
  document.getElementById("none").hidden = rows.length > 0;
  setText(document.getElementById("none"), all ? "No symbol fits what is chosen above." : "No symbol is kept warm yet.");
}

function showSort() {
  for (const button of document.querySelectorAll("[data-sort]")) {
    const isIt = button.dataset.sort === sort.by;
    const direction = isIt ? (sort.down ? "descending" : "ascending") : "none";
    button.closest("[role=columnheader]").setAttribute("aria-sort", direction);
    button.dataset.direction = isIt ? (sort.down ? "down" : "up") : "";
  }
}

/** Keep what is chosen in the address: it can be reloaded, and given to others. */
function remember() {
  const query = new URLSearchParams();
  if (wanted.text) query.set("q", wanted.text);
  if (wanted.exchange) query.set("exchange", wanted.exchange);
  if (wanted.stages.size) query.set("stage", [...wanted.stages].map(stageName).join());
  if (wanted.column !== null) query.set("timeframe", TIMEFRAMES[wanted.column]);
  if (sort.by !== "symbol" || sort.down) query.set("sort", (sort.down ? "-" : "") + sort.by);
  history.replaceState(null, "", query.size ? `?${query}` : location.pathname);
}

function recall() {
  const query = new URLSearchParams(location.search);
  wanted.text = query.get("q") ?? "";
  wanted.exchange = query.get("exchange") ?? "";
  const names = (query.get("stage") ?? "").split(",");
  wanted.stages = new Set([...Object.keys(STAGES), ""].filter((letter) => names.includes(stageName(letter))));
  const column = TIMEFRAMES.indexOf(query.get("timeframe"));
  wanted.column = column < 0 ? null : column;
  const by = query.get("sort") ?? "";
  const known = document.querySelector(`[data-sort="${CSS.escape(by.replace(/^-/, ""))}"]`);
  if (known) Object.assign(sort, { by: known.dataset.sort, down: by.startsWith("-") });
  controls.text.value = wanted.text;
  controls.timeframe.value = wanted.column === null ? "" : TIMEFRAMES[wanted.column];
}

function stageName(letter) {
  return STAGES[letter]?.name ?? "none";
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Do what was chosen, from the first row on. */
function choose() {
  wanted.text = controls.text.value;
  wanted.exchange = controls.exchange.value;
  const column = TIMEFRAMES.indexOf(controls.timeframe.value);
  wanted.column = column < 0 ? null : column;
  remember();
  table.scroller.scrollTop = 0;
  showSort();
  show({ anew: true });
}

for (const control of Object.values(controls)) control.addEventListener("input", choose);
for (const button of document.querySelectorAll("[data-stage-filter]")) {
  button.addEventListener("click", () => {
    const letter = button.dataset.stageFilter;
    if (!wanted.stages.delete(letter)) wanted.stages.add(letter);
    choose();
  });
}
for (const button of document.querySelectorAll("[data-sort]")) {
  button.addEventListener("click", () => {
    const by = button.dataset.sort;
    const isNew = by !== sort.by;
    Object.assign(sort, { by, down: isNew ? by !== "symbol" : !sort.down });
    choose();
  });
}

const banner = new LinkBanner(document.getElementById("link"), () => feed);
const feed = new Feed({
  onMessage: (message) => {
    banner.receive(message);
    take[message.type]?.(message);
  },
  onLink: (link) => banner.show(link),
  onOpen: () => feed.send({ type: "open-signals" }),
});

document.documentElement.classList.add("js");
setServerTime(told.serverTime);
recall();
showSort();
show({ anew: true });
feed.connect();
