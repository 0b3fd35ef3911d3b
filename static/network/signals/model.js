// What the Signals page knows: each exchange as the server told it, and the rows that are wanted.

export const TIMEFRAMES = ["1m", "5m", "15m", "1h", "4h", "1d"];
export const STAGES = {
  b: { name: "overbought", glyph: "⤒" },
  l: { name: "rallying", glyph: "↑" },
  u: { name: "rebounding", glyph: "↗" },
  g: { name: "ranging", glyph: "→" },
  t: { name: "retracing", glyph: "↘" },
  v: { name: "reversing", glyph: "↓" },
  o: { name: "oversold", glyph: "⤓" },
};
const UNKNOWN = [null, ""];
const NONE = []; // where Redis does not answer no price is known

export class SignalModel {
  constructor(exchanges) {
    this.exchanges = new Map();
    for (const { exchangeId, ...told } of exchanges) this.replace(exchangeId, told);
    this.build();
  }

  /** Take in a message of type "signals"; return false where one before it was missed. */
  take({ exchangeId, since, version, changes }) {
    const known = this.exchanges.get(exchangeId);
    if (since === 0) {
      this.replace(exchangeId, { ...known, ...changes, version });
      this.build();
      return true;
    }
    if (!known || known.version < since) return false;
    if (known.version >= version) return true; // a confirmation, or told already
    const { cellChanges = [], priceChanges = {}, ...whole } = changes;
    Object.assign(known, whole, { version });
    for (const [row, column, cell] of cellChanges) known.cells[row][column] = cell;
    Object.assign(known.prices, priceChanges);
    if (whole.symbols) this.build();
    return true;
  }

  replace(exchangeId, told) {
    this.exchanges.set(exchangeId, { exchangeId, ...told });
  }

  remove(exchangeId) {
    this.exchanges.delete(exchangeId);
    this.build();
  }

  build() {
    this.rows = [...this.exchanges.values()].flatMap((exchange) =>
      exchange.symbols.map((symbol, at) => ({ exchange, symbol, at })),
    );
  }

  /** Return [value, stage's letter, trust] of a row's timeframe; nothing is fresh without Redis. */
  cell({ exchange, at }, column) {
    const [value, code] = exchange.cells[at]?.[column] ?? UNKNOWN;
    return [value, code[0] ?? "", code && exchange.away ? "s" : code[1] ?? ""];
  }

  /** Return [price's text, change in percent, volume], empty where no ticker came lately. */
  price({ exchange, symbol }) {
    return (!exchange.away && exchange.prices[symbol]) || NONE;
  }

  /** Return the rows that fit, {text, exchange, stages: Set of letters, column or null}, sorted. */
  find(wanted, sort) {
    const text = wanted.text.trim().toUpperCase();
    const found = this.rows.filter(
      (row) =>
        (!text || row.symbol.toUpperCase().includes(text)) &&
        (!wanted.exchange || row.exchange.name === wanted.exchange) &&
        (!wanted.stages.size || this.letters(row, wanted.column).some((each) => wanted.stages.has(each))),
    );
    return this.sorted(found, sort);
  }

  /** Return the stages of a row: of one timeframe, or of all. "" is one without a value. */
  letters(row, column) {
    const columns = column === null ? TIMEFRAMES.keys() : [column];
    return [...columns].map((each) => this.stage(row, each));
  }

  stage(row, column) {
    const [value, letter] = this.cell(row, column);
    return value === null ? "" : letter;
  }

  /** Return how many rows are in which stage. */
  counts(rows, column) {
    const counts = {};
    for (const row of rows) {
      for (const letter of new Set(this.letters(row, column))) counts[letter] = (counts[letter] ?? 0) + 1;
    }
    return counts;
  }

  /** Sort by {by, down}; what isn't known comes last, whichever way. */
  sorted(rows, { by, down }) {
    const sign = down ? -1 : 1;
    const keyed = rows.map((row) => [this.key(row, by), row]);
    keyed.sort(([one, a], [other, b]) => {
      if (one === other || (one === undefined && other === undefined)) return byName(a, b);
      if (one === undefined) return 1;
      if (other === undefined) return -1;
      return one < other ? -sign : sign;
    });
    return keyed.map(([, row]) => row);
  }

  key(row, by) {
    if (by === "symbol") return row.symbol;
    const [text, change, volume] = this.price(row);
    if (by === "price") return text === undefined ? undefined : Number(text);
    if (by === "change") return change;
    if (by === "volume") return volume;
    return this.cell(row, TIMEFRAMES.indexOf(by))[0] ?? undefined;
  }
}

function byName(one, other) {
  if (one.symbol !== other.symbol) return one.symbol < other.symbol ? -1 : 1;
  return one.exchange.name < other.exchange.name ? -1 : 1;
}
