// One exchange's card: places what the server says where templates/network/card/card.html has room.

import { Grid } from "./grid.js";
import { showTime } from "../times.js";

const SPARK_POINTS = 120;
const SPARK_HEIGHT = 24;

export class CardView {
  /** `element` is a card; `card` is what it was drawn from, or null for an empty one. */
  constructor(element, card) {
    this.element = element;
    this.version = card?.version ?? 0;
    const exchangeId = Number(element.dataset.exchange);
    this.name = card?.name ?? "";
    this.group = card?.group ?? "idle";
    this.more = element.querySelector(":scope > .more");
    this.more.addEventListener("toggle", () => this.toggled());
    this.grid = new Grid(element.querySelector(".completeness"), exchangeId, card?.grid, card?.polled, card?.prices);
  }

  /** Place whichever fields of a card are in `changes`. */
  show(changes) {
    for (const [field, value] of Object.entries(changes)) this.place[field]?.call(this, value);
  }

  place = {
    version(version) {
      this.version = version;
    },
    name(text) {
      this.name = text;
      setText(this.find("[data-text=name]"), text);
      this.find("[data-signals]").search = `?exchange=${encodeURIComponent(text)}`;
    },
    displayName(text) {
      setText(this.find("[data-text=displayName]"), text);
    },
    state(state) {
      if (this.element.dataset.state !== state) this.element.dataset.state = state;
    },
    group(group) {
      this.group = group;
      if (this.element.dataset.group !== group) this.element.dataset.group = group;
    },
    troubled(troubled) {
      this.element.toggleAttribute("data-troubled", troubled);
    },
    stateText(text) {
      setText(this.find("[data-text=stateText]"), text);
    },
    lines(lines) {
      for (const [name, text] of Object.entries(lines)) {
        setText(this.find(`[data-line=${name}]`), text);
      }
    },
    times(times) {
      for (const [name, ms] of Object.entries(times)) {
        const element = this.find(`[data-time=${name}]`);
        if (element) showTime(element, ms);
      }
    },
    buttons(names) {
      for (const button of this.element.querySelectorAll("button[data-button]")) {
        button.disabled = !names.includes(button.dataset.button);
      }
      for (const other of this.element.querySelectorAll(":is(a, details)[data-button]")) {
        other.hidden = !names.includes(other.dataset.button);
      }
    },
    sparkline(values) {
      const points = sparkPoints(values);
      const line = this.find(".spark polyline");
      if (line.getAttribute("points") !== points) line.setAttribute("points", points);
    },
    warmup(warmup) {
      showWarmup(this.find(".warmup"), warmup);
    },
    commands(commands) {
      for (const kind of ["running", "ended"]) {
        const list = this.find(`[data-commands=${kind}]`);
        showCommands(list, commands.filter(({ state }) => (state === "running") === (kind === "running")));
      }
    },
    grid(grid) {
      this.grid.show(grid);
    },
    prices(prices) {
      this.grid.showPrices(prices);
    },
    priceChanges(changes) {
      this.grid.patchPrices(changes);
    },
    polled(pairs) {
      this.grid.mark(pairs);
    },
    cells(cells) {
      this.grid.patch(cells);
    },
  };

  /** Open it or make it one line, as a person wanted it in this tab, else as is usual. */
  fold(isFolded) {
    const wanted = this.group === "idle" ? sessionStorage.getItem(this.foldKey) : null;
    this.isOpen = wanted ? wanted === "open" : !isFolded;
    if (this.more.open !== this.isOpen) this.more.open = this.isOpen;
  }

  toggled() {
    if (this.isOpen === undefined || this.more.open === this.isOpen) return; // we did it
    this.isOpen = this.more.open;
    sessionStorage.setItem(this.foldKey, this.isOpen ? "open" : "folded");
  }

  get foldKey() {
    return `network-card-${this.element.dataset.exchange}`;
  }

  find(selector) {
    return this.element.querySelector(selector);
  }
}

/** Return a card of the exchange made from the page's template. */
export function newCard(exchangeId) {
  const card = document.getElementById("card-template").content.firstElementChild.cloneNode(true);
  card.dataset.exchange = exchangeId;
  for (const element of [card, ...card.querySelectorAll("*")]) {
    for (const { name, value } of [...element.attributes]) {
      const filled = value
        .replace(/^(exchange|listed)-0\b/, `$1-${exchangeId}`)
        .replace(/\/0\/(?=[a-z-]+\/$)/, `/${exchangeId}/`);
      if (filled !== value) element.setAttribute(name, filled);
    }
  }
  return card;
}

function showWarmup(section, warmup) {
  section.hidden = !warmup;
  if (!warmup) return;
  section.dataset.status = warmup.status;
  section.dataset.alive = warmup.alive ? "yes" : "no";
  section.querySelector("progress").value = warmup.percent;
  const percent = Math.round(warmup.percent * 10) / 10;
  const texts = { ...warmup, percent, failed: warmup.failures.length };
  for (const element of section.querySelectorAll("[data-warmup]")) {
    setText(element, texts[element.dataset.warmup]);
  }
  const schedule = warmup.schedule.map(([timeframe, count]) => item(timeframe, ` ${count}`));
  section.querySelector(".schedule").replaceChildren(...schedule);
  section.querySelector(".failures").hidden = !warmup.failures.length;
  const list = section.querySelector(".failures ul");
  if (list.children.length !== warmup.failures.length) {
    list.replaceChildren(
      ...warmup.failures.map((each) => item(`${each.symbol} ${each.timeframe}`, ` ${each.error}`)),
    );
  }
}

function showCommands(list, commands) {
  const known = new Map([...list.children].map((row) => [row.dataset.command, row]));
  const rows = commands.map((command) => showCommand(known.get(command.id) ?? newCommand(), command));
  if (rows.length !== list.children.length || rows.some((row, at) => row !== list.children[at])) {
    list.replaceChildren(...rows);
  }
}

function newCommand() {
  const template = document.getElementById("command-template");
  return template.content.firstElementChild.cloneNode(true);
}

function showCommand(row, { id, what, who, at, state, result, percent }) {
  row.dataset.command = id;
  row.dataset.state = state;
  setText(row.querySelector("[data-what]"), what);
  setText(row.querySelector("[data-who]"), who);
  setText(row.querySelector("[data-result]"), result);
  showTime(row.querySelector("time"), at);
  const bar = row.querySelector("progress");
  bar.value = percent;
  bar.ariaLabel = what;
  return row;
}

function item(bold, text) {
  const made = document.createElement("li");
  const strong = document.createElement("b");
  strong.textContent = bold;
  made.append(strong, text);
  return made;
}

function setText(element, text) {
  const wanted = String(text ?? "");
  if (element && element.textContent !== wanted) element.textContent = wanted;
}

function sparkPoints(values) {
  if (!values.length) return "";
  const top = Math.max(...values, 1);
  const first = SPARK_POINTS - values.length;
  const height = (value) => (SPARK_HEIGHT - 1 - (value / top) * (SPARK_HEIGHT - 3)).toFixed(1);
  return values.map((value, at) => `${first + at},${height(value)}`).join(" ");
}
