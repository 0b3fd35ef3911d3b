// One exchange's card: places what the server says where templates/network/card.html has room.

import { Grid } from "./grid.js";
import { showTime } from "./times.js";

const SPARK_POINTS = 120;
const SPARK_HEIGHT = 24;

export class CardView {
  /** `element` is a card; `card` is what it was drawn from, or null for an empty one. */
  constructor(element, card) {
    this.element = element;
    this.version = card?.version ?? 0;
    const exchangeId = Number(element.dataset.exchange);
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
      setText(this.find("[data-text=name]"), text);
    },
    displayName(text) {
      setText(this.find("[data-text=displayName]"), text);
    },
    state(state) {
      if (this.element.dataset.state !== state) this.element.dataset.state = state;
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
