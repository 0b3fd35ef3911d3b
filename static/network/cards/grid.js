// Symbols x timeframes of one exchange: draws, patches, filters, and moves by arrow keys.

const ROWS_IN_CHUNK = 50;
const NO_PRICE = "–";
const PROBLEMS = new Set(["h", "k", "r", "w", "u", "x", "d"]);
const POLLED = "polled: the exchange refuses to stream it, so REST is asked at each bar's end";

export class Grid {
  /** `section` is templates/network/card/grid.html; `grid`, `polled` and `prices` what it was drawn
      from. */
  constructor(section, exchangeId, grid, polled, prices) {
    this.polled = polled ?? {};
    this.prices = prices ?? {};
    this.section = section;
    this.exchangeId = exchangeId;
    this.chunks = section.querySelector(".chunks");
    this.states = Object.fromEntries(
      [...section.querySelectorAll(".legend li")].map((li) => [
        li.dataset.code,
        { ...li.dataset, counter: li.querySelector("[data-count]") },
      ]),
    );
    this.filter = section.querySelector("[data-filter]");
    this.problems = section.querySelector("[data-problems]");
    this.shown = section.querySelector("[data-shown]");
    this.filter.addEventListener("input", () => this.filterRows());
    this.problems.addEventListener("change", () => this.filterRows());
    this.chunks.addEventListener("keydown", (event) => this.move(event));
    this.chunks.addEventListener("focusin", (event) => this.rove(event.target));
    this.take(grid);
  }

  /** Draw another grid; where only states differ, only their cells change. */
  show(grid) {
    if (grid && same(this.symbols, grid.symbols) && same(this.timeframes, grid.timeframes)) {
      this.patch(differences(this.codes, grid.rows));
    } else {
      this.draw(grid);
      this.take(grid);
    }
  }

  /** Apply [[symbol's index, timeframe's index, code], ...]. */
  patch(cells) {
    for (const [row, column, code] of cells) {
      const link = this.links[row]?.[column];
      if (!link || this.codes[row][column] === code) continue;
      this.counts[this.codes[row][column]] -= 1;
      this.counts[code] += 1;
      this.codes[row][column] = code;
      const { name, glyph } = this.states[code];
      link.dataset.code = code;
      link.textContent = glyph;
      link.setAttribute("aria-label", `${this.symbols[row]} ${this.timeframes[column]}: ${name}`);
    }
    if (cells.length) this.count();
    if (cells.length && this.problems.checked) this.filterRows();
  }

  /** Name the pairs that aren't streamed: {symbol: [timeframe, ...]}. */
  mark(polled) {
    this.polled = polled;
    this.links.forEach((row, at) => {
      const timeframes = polled[this.symbols[at]] ?? [];
      row.forEach((link, column) => {
        const title = timeframes.includes(this.timeframes[column]) ? POLLED : "";
        if (link.title !== title) link.title = title;
      });
    });
  }

  /** Show the prices that are known, {symbol: [price, change in percent]}, and no others. */
  showPrices(prices) {
    this.prices = prices;
    for (const symbol of this.symbols) this.showPrice(symbol);
  }

  /** Show the prices that changed; null for one that isn't known any more. */
  patchPrices(changes) {
    for (const [symbol, price] of Object.entries(changes)) {
      this.prices[symbol] = price;
      this.showPrice(symbol);
    }
  }

  showPrice(symbol) {
    const cell = this.priceCells.get(symbol);
    if (cell) fillPrice(cell, this.prices[symbol]);
  }

  take(grid) {
    this.symbols = grid?.symbols ?? [];
    this.timeframes = grid?.timeframes ?? [];
    this.codes = (grid?.rows ?? []).map((codes) => [...codes]);
    this.rows = [...this.chunks.querySelectorAll(".pairs")];
    this.priceCells = new Map(
      this.rows.map((row, at) => [this.symbols[at], row.querySelector(".price")]),
    );
    this.links = this.rows.map((row) => [...row.querySelectorAll("a")]);
    for (const link of this.links.flat()) link.tabIndex = -1;
    this.current = null;
    if (this.links[0]) this.rove(this.links[0][0]);
    this.section.hidden = !this.symbols.length;
    this.mark(this.polled);
    this.counts = Object.fromEntries(Object.keys(this.states).map((code) => [code, 0]));
    for (const code of this.codes.flat()) this.counts[code] += 1;
    this.count();
    this.filterRows();
  }

  count() {
    for (const [code, { counter }] of Object.entries(this.states)) {
      counter.textContent = this.counts[code];
      counter.parentElement.classList.toggle("none", !this.counts[code]);
    }
  }

  draw(grid) {
    const head = this.section.querySelector(".grid-head");
    const { timeframes, symbols, rows: codes } = grid ?? { timeframes: [], symbols: [], rows: [] };
    head.replaceChildren(...["Symbol", "Last, 24 h", ...timeframes].map((text) => part("columnheader", text)));
    const rows = symbols.map((symbol, at) => this.row(symbol, timeframes, codes[at]));
    const chunks = [];
    for (let at = 0; at < rows.length; at += ROWS_IN_CHUNK) {
      const chunk = part("rowgroup", ...rows.slice(at, at + ROWS_IN_CHUNK));
      chunk.className = "chunk";
      chunks.push(chunk);
    }
    this.chunks.replaceChildren(...chunks);
  }

  row(symbol, timeframes, codes) {
    const price = part("gridcell");
    price.className = "price";
    fillPrice(price, this.prices[symbol]);
    const row = part("row", part("rowheader", symbol), price);
    row.className = "pairs";
    timeframes.forEach((timeframe, column) => {
      const { name, glyph } = this.states[codes[column]];
      const link = document.createElement("a");
      link.href = `${this.exchangeId}/pairs/${encodeURIComponent(symbol)}/${timeframe}/`;
      link.className = "cell";
      link.dataset.code = codes[column];
      link.textContent = glyph;
      link.setAttribute("aria-label", `${symbol} ${timeframe}: ${name}`);
      row.append(part("gridcell", link));
    });
    return row;
  }

  filterRows() {
    const wanted = this.filter.value.trim().toUpperCase();
    const onlyProblems = this.problems.checked;
    let shown = 0;
    this.rows.forEach((row, at) => {
      const fits =
        (!wanted || this.symbols[at].toUpperCase().includes(wanted)) &&
        (!onlyProblems || this.codes[at].some((code) => PROBLEMS.has(code)));
      if (row.hidden === fits) row.hidden = !fits;
      shown += fits;
    });
    for (const chunk of this.chunks.children) this.fit(chunk);
    const filtered = shown < this.rows.length;
    this.shown.textContent = filtered ? `${shown} of ${this.rows.length} symbols` : "";
    if (!this.current || this.current.closest("[hidden]")) this.roveToFirst();
  }

  /** Tell the browser how high a chunk is that it doesn't lay out. */
  fit(chunk) {
    const rows = [...chunk.children].filter((row) => !row.hidden).length;
    chunk.hidden = !rows;
    chunk.style.setProperty("--rows", rows);
  }

  roveToFirst() {
    const first = this.rows.findIndex((row) => !row.hidden);
    if (first >= 0) this.rove(this.links[first][0]);
  }

  /** Let Tab lead to one cell only: the last one that was looked at. */
  rove(link) {
    if (!link.matches?.("a.cell") || link === this.current) return;
    if (this.current) this.current.tabIndex = -1;
    this.current = link;
    link.tabIndex = 0;
  }

  move(event) {
    const row = this.rows.indexOf(event.target.closest(".pairs"));
    if (row < 0 || event.altKey || event.metaKey) return;
    const column = this.links[row].indexOf(event.target);
    const target = this.target(event, row, column);
    if (!target) return;
    event.preventDefault();
    target.focus();
    target.scrollIntoView({ block: "nearest" });
  }

  target({ key, ctrlKey }, row, column) {
    const last = this.timeframes.length - 1;
    if (key === "ArrowRight") return this.links[row][Math.min(last, column + 1)];
    if (key === "ArrowLeft") return this.links[row][Math.max(0, column - 1)];
    if (key === "ArrowDown") return this.inRow(row + 1, 1, column);
    if (key === "ArrowUp") return this.inRow(row - 1, -1, column);
    if (key === "PageDown") return this.inRow(Math.min(this.rows.length - 1, row + 10), -1, column);
    if (key === "PageUp") return this.inRow(Math.max(0, row - 10), 1, column);
    if (key === "Home") return this.inRow(ctrlKey ? 0 : row, 1, 0);
    if (key === "End") return this.inRow(ctrlKey ? this.rows.length - 1 : row, -1, last);
    return null;
  }

  /** Return the cell of the next row from `row` on that is shown. */
  inRow(row, step, column) {
    while (this.rows[row]?.hidden) row += step;
    return this.links[row]?.[column];
  }
}

/** Show a price as warmup/templatetags/network.py does; nothing is touched that is shown already. */
function fillPrice(cell, price) {
  if (!price) {
    if (cell.textContent !== NO_PRICE) cell.textContent = NO_PRICE;
    return;
  }
  let [last, change] = cell.children;
  if (!change) {
    last = document.createElement("span");
    last.className = "last-price";
    change = document.createElement("span");
    cell.replaceChildren(last, " ", change);
  }
  const [text, percent] = price;
  if (last.textContent !== text) last.textContent = text;
  const sign = percent > 0 ? "+" : percent < 0 ? "−" : "";
  const changed = `${sign}${Math.abs(percent).toFixed(2)} %`;
  if (change.textContent !== changed) change.textContent = changed;
  const tone = percent > 0 ? "change up" : percent < 0 ? "change down" : "change ";
  if (change.className !== tone) change.className = tone;
}

function part(role, ...content) {
  const made = document.createElement(role === "rowgroup" || role === "row" ? "div" : "span");
  made.setAttribute("role", role);
  made.append(...content);
  return made;
}

function same(one, other) {
  return one.join() === other.join();
}

function differences(before, rows) {
  const cells = rows.flatMap((codes, row) => [...codes].map((code, column) => [row, column, code]));
  return cells.filter(([row, column, code]) => before[row][column] !== code);
}
