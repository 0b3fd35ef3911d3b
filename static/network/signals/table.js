// The rows of the Signals page: only those that are in sight are there, and are used again.

import { short, signed } from "../numbers.js";
import { STAGES, TIMEFRAMES } from "./model.js";

const ROWS_BEYOND = 6; // above and below what is in sight
const REM = parseFloat(getComputedStyle(document.documentElement).fontSize);
const NOTHING = "–";
const TRUST = { f: "", p: ", some of what it stands on is missing", s: ", stale: of an older close" };
const WHY_NONE = {
  0: "no value",
  1: "no value yet: too few candles",
  2: "no value: too few bars were traded in",
  3: "no value: the price does not move",
  "": "not known",
};

export class SignalTable {
  /** `element` is role=grid, of a head and `.signal-rows`; `addressOf(row, timeframe)` leads on. */
  constructor(element, model, addressOf) {
    Object.assign(this, { element, model, addressOf });
    this.body = element.querySelector(".signal-rows");
    this.scroller = element.parentElement;
    this.rows = [];
    this.pool = new Map(); // place -> element
    this.focus = { at: 0, column: 0 };
    this.scroller.addEventListener("scroll", () => this.ask(), { passive: true });
    new ResizeObserver(() => this.ask()).observe(this.scroller);
    this.body.addEventListener("keydown", (event) => this.move(event));
    this.body.addEventListener("focusin", ({ target }) => this.rove(target));
  }

  /** Show these rows, or what is new in them. */
  show(rows) {
    const isOther = rows.length !== this.rows.length;
    this.rows = rows;
    this.scroller.style.setProperty("--count", rows.length);
    if (isOther) this.element.ariaRowCount = rows.length + 1;
    if (this.focus.at >= rows.length) this.focus.at = Math.max(0, rows.length - 1);
    this.ask();
  }

  /** Tell whether somebody is about to click or press a key on a row: it must not move away. */
  get isInUse() {
    return this.body.matches(":hover") || this.body.contains(document.activeElement);
  }

  ask() {
    this.asked ??= requestAnimationFrame(() => {
      this.asked = null;
      this.draw();
    });
  }

  get rowHeight() {
    return parseFloat(getComputedStyle(this.body).getPropertyValue("--row")) * REM;
  }

  draw() {
    const height = (this.height = this.rowHeight);
    this.body.style.height = `${this.rows.length * height}px`;
    const top = Math.floor(this.scroller.scrollTop / height) - ROWS_BEYOND;
    const count = Math.ceil(this.scroller.clientHeight / height) + 2 * ROWS_BEYOND;
    const first = Math.max(0, Math.min(top, this.rows.length - count));
    const last = Math.min(this.rows.length, first + count);
    const wanted = new Set();
    for (let at = first; at < last; at += 1) wanted.add(at);
    if (this.hasFocus && this.focus.at < this.rows.length) wanted.add(this.focus.at);
    const free = [...this.pool].filter(([at]) => !wanted.has(at));
    for (const [at] of free) this.pool.delete(at);
    for (const at of wanted) {
      const element = this.pool.get(at) ?? free.pop()?.[1] ?? this.make();
      this.pool.set(at, element);
      this.fill(element, at);
    }
    for (const [, element] of free) element.remove();
  }

  get hasFocus() {
    return this.body.contains(document.activeElement);
  }

  make() {
    const element = part("div", "row", "signal-row");
    const name = part("span", "rowheader", "signal-name");
    const price = part("span", "presentation", "signal-price");
    for (const kind of ["last-price", "change", "volume"]) price.append(part("span", "gridcell", kind));
    element.append(name, price);
    name.append(part("b"), part("small"));
    for (const timeframe of TIMEFRAMES) {
      const link = document.createElement("a");
      link.className = "signal";
      link.tabIndex = -1;
      const cell = part("span", "gridcell");
      cell.append(link);
      element.append(cell);
      link.dataset.timeframe = timeframe;
    }
    this.body.append(element);
    return element;
  }

  fill(element, at) {
    const row = this.rows[at];
    element.style.transform = `translateY(${at * this.height}px)`;
    if (element.ariaRowIndex !== String(at + 2)) element.ariaRowIndex = at + 2;
    const [name, prices, ...cells] = element.children;
    setText(name.firstElementChild, row.symbol);
    setText(name.lastElementChild, row.exchange.displayName);
    this.fillPrice(prices, this.model.price(row));
    cells.forEach((cell, column) => this.fillCell(cell.firstElementChild, row, at, column));
  }

  fillPrice(element, [text, change, volume]) {
    const [last, moved, traded] = element.children;
    setText(last, text ?? NOTHING);
    setText(moved, change === undefined ? NOTHING : signed(change));
    setText(traded, volume === undefined ? NOTHING : short(volume));
    const tone = change > 0 ? "change up" : change < 0 ? "change down" : "change";
    if (moved.className !== tone) moved.className = tone;
  }

  fillCell(link, row, at, column) {
    const [value, letter, trust] = this.model.cell(row, column);
    const stage = value === null ? null : STAGES[letter];
    const key = `${row.exchange.exchangeId} ${row.symbol} ${value} ${letter} ${trust}`;
    if (link.dataset.key !== key) {
      link.dataset.key = key;
      link.dataset.stage = stage ? letter : "";
      link.dataset.trust = trust;
      link.href = this.addressOf(row, TIMEFRAMES[column]);
      const number = value === null ? NOTHING : value.toFixed(1).replace("-", "−");
      const rough = value === null ? NOTHING : String(Math.round(value)).replace("-", "−");
      link.replaceChildren(glyph(stage?.glyph ?? ""), span("exact", number), span("rough", rough));
      const what = stage ? `${number} ${stage.name}${TRUST[trust]}` : WHY_NONE[letter] ?? WHY_NONE[""];
      link.ariaLabel = `${row.symbol} ${TIMEFRAMES[column]}: ${what}`;
      link.title = what;
    }
    const isHere = at === this.focus.at && column === this.focus.column;
    const tabIndex = isHere ? 0 : -1;
    if (link.tabIndex !== tabIndex) link.tabIndex = tabIndex;
  }

  /** Let Tab lead to one cell only: the last one that was looked at. */
  rove(target) {
    const place = this.placeOf(target);
    if (!place) return;
    this.focus = place;
    this.ask();
  }

  placeOf(target) {
    const row = target.closest(".signal-row");
    const found = [...this.pool].find(([, element]) => element === row);
    if (!found || !target.dataset.timeframe) return null;
    return { at: found[0], column: TIMEFRAMES.indexOf(target.dataset.timeframe) };
  }

  move(event) {
    const place = this.placeOf(event.target);
    if (!place || event.altKey || event.metaKey) return;
    const target = this.target(event, place);
    if (!target) return;
    event.preventDefault();
    this.focus = target;
    this.reveal(target.at);
    this.draw();
    this.pool.get(target.at).children[target.column + 2].firstElementChild.focus({ preventScroll: true });
  }

  target({ key, ctrlKey }, { at, column }) {
    const [last, page] = [this.rows.length - 1, Math.floor(this.scroller.clientHeight / this.height) - 2];
    const end = TIMEFRAMES.length - 1;
    const within = (place) => ({ at: Math.max(0, Math.min(last, place)), column });
    if (key === "ArrowRight") return { at, column: Math.min(end, column + 1) };
    if (key === "ArrowLeft") return { at, column: Math.max(0, column - 1) };
    if (key === "ArrowDown") return within(at + 1);
    if (key === "ArrowUp") return within(at - 1);
    if (key === "PageDown") return within(at + page);
    if (key === "PageUp") return within(at - page);
    if (key === "Home") return ctrlKey ? { at: 0, column: 0 } : { at, column: 0 };
    if (key === "End") return ctrlKey ? { at: last, column: end } : { at, column: end };
    return null;
  }

  /** Scroll so far that a row is wholly in sight, below the head. */
  reveal(at) {
    const { scroller, height } = this;
    const head = this.body.offsetTop; // which stays where it is
    const room = scroller.clientHeight - head;
    if (at * height < scroller.scrollTop) scroller.scrollTop = at * height;
    else if ((at + 1) * height > scroller.scrollTop + room) scroller.scrollTop = (at + 1) * height - room;
  }
}

function part(tag, role, className) {
  const made = document.createElement(tag);
  if (role) made.setAttribute("role", role);
  if (className) made.className = className;
  return made;
}

function glyph(text) {
  const made = part("i");
  made.ariaHidden = "true";
  made.textContent = text;
  return made;
}

function span(className, text) {
  const made = part("span", null, className);
  made.textContent = text;
  return made;
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
