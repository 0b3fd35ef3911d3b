// What a pair's page knows: the pair as it came with the page, what the socket said since, and
// what was fetched of before.

const TOLD_BARS = 990; // `missing` tells of the newest 1,000 bars,
const UNTOLD_BARS = 3; // but for those that closed less than two bars ago
const MOST_EMPTY_BARS = 5000; // that have a place of their own: of a pair that hardly trades

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

  /** Take in what is older, as `older.js` fetched it. */
  takeOlder({ candles, macdv, quiet }) {
    for (const row of candles) if (!this.rows.has(row[0])) this.rows.set(row[0], row);
    for (const [time, ...numbers] of macdv) if (!this.points.has(time)) this.points.set(time, numbers);
    this.knownQuiet = [...quiet, ...this.knownQuiet];
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

  /** Return the open time of the oldest candle that is here, null without any. */
  oldest() {
    return this.rows.size ? Math.min(...this.rows.keys()) : null;
  }

  /** Return the open times of all bars that have a place on the chart, traded in or not, oldest
      first. Where nearly all are empty the older ones have none. */
  times() {
    const known = this.candles().map(([time]) => time);
    if (!known.length) return [];
    const end = this.end();
    const first = Math.max(known[0], end - (known.length + MOST_EMPTY_BARS) * this.barMs);
    const times = known.filter((time) => time < first);
    for (let time = first; time <= end; time += this.barMs) times.push(time);
    return times;
  }

  /** Return {candle, live, macdv} of the bar at `time`, null where there is none. */
  at(time) {
    const closed = this.rows.get(time);
    const live = !closed && this.live?.[0] === time;
    return { candle: live ? this.live : closed ?? null, live, macdv: this.points.get(time) ?? null };
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
