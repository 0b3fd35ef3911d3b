// What a pair's page knows: the pair as it came with the page, and what the socket said since.

const TOLD_BARS = 990; // `missing` tells of the newest 1,000 bars,
const UNTOLD_BARS = 3; // but for those that closed less than two bars ago

export class PairData {
  constructor(pair, barMs) {
    this.barMs = barMs;
    this.now = pair.serverTime;
    this.rows = new Map(pair.candles.map((row) => [row[0], row]));
    this.live = pair.live;
    this.missing = pair.missing;
    this.knownQuiet = pair.quiet;
    const { timestamps, value, signal, histogram } = pair.macdv;
    this.points = new Map(
      timestamps.map((time, at) => [time, [value[at], signal[at], histogram[at]]]),
    );
  }

  /** Take in a message of type "pair". */
  take({ serverTime, candles, live, missing, macdv }) {
    this.now = serverTime;
    for (const row of candles) this.rows.set(row[0], row);
    for (const [time, ...numbers] of macdv) this.points.set(time, numbers);
    this.live = live;
    this.missing = missing;
  }

  /** Return the closed candles, oldest first. */
  closed() {
    return [...this.rows.values()].sort((one, other) => one[0] - other[0]);
  }

  /** Return all candles, the open one last. */
  candles() {
    const newer = this.live && !this.rows.has(this.live[0]);
    return newer ? [...this.closed(), this.live] : this.closed();
  }

  /** Return MACD-V as [time, value, signal, histogram], oldest first; nulls where a hole begins. */
  macdv() {
    const known = [...this.points].map(([time, numbers]) => [time, ...numbers]);
    const holes = this.missing.map(([from]) => [from, null, null, null]);
    return [...known, ...holes].sort((one, other) => one[0] - other[0]);
  }

  /** Return the open time of the newest bar: that of now, also when nothing is traded. */
  end() {
    return Math.max(this.now - (this.now % this.barMs), this.candles().at(-1)?.[0] ?? 0);
  }

  /** Return the open times of bars that nothing was traded in, as far as that is known. */
  quiet() {
    const times = new Set([...this.knownQuiet, ...this.told()]);
    const isQuiet = (time) => !this.rows.has(time) && !this.isMissing(time);
    return [...times].filter(isQuiet).sort((one, other) => one - other);
  }

  /** Return the open times of the bars that are covered where they aren't `missing`. */
  told() {
    const candles = this.candles();
    if (!candles.length) return [];
    const end = candles.at(-1)[0] - UNTOLD_BARS * this.barMs;
    const start = Math.max(candles[0][0], this.end() - TOLD_BARS * this.barMs);
    const count = Math.max(0, (end - start) / this.barMs + 1);
    return Array.from({ length: count }, (_, at) => start + at * this.barMs);
  }

  isMissing(time) {
    return this.missing.some(([from, to]) => from <= time && time < to);
  }
}
