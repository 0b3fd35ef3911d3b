// The line above the chart: the numbers of the bar that is looked at, else of the newest.

import { plain, signed } from "../numbers.js";
import { exact } from "../times.js";

const PRICES = { O: "Open", H: "High", L: "Low", C: "Close" };

/** Show the bar at `time` in `element`; `what` is "missing" or "quiet" where there is no candle. */
export function showLegend(element, time, { candle, live, macdv }, what) {
  const parts = [part("", `${exact(time).slice(0, 16)} UTC`)];
  if (candle) {
    Object.keys(PRICES).forEach((name, at) => parts.push(part(name, plain(candle[at + 1]))));
    const percent = (candle[4] / candle[1] - 1) * 100;
    parts.push(part("", signed(percent), percent > 0 ? "up" : percent < 0 ? "down" : ""));
    parts.push(part("Volume", plain(candle[5])));
    if (live) parts.push(part("", "still open"));
  } else {
    parts.push(part("", WITHOUT[what]));
  }
  for (const [at, name] of ["MACD-V", "Signal", "Histogram"].entries()) {
    const number = macdv?.[at];
    if (typeof number === "number") parts.push(part(name, number.toFixed(2)));
  }
  element.replaceChildren(...parts);
}

const WITHOUT = {
  missing: "missing: the exchange may have a candle here",
  quiet: "quiet: nothing was traded",
  "": "no candle yet",
};

function part(name, text, tone) {
  const made = document.createElement("span");
  if (tone !== undefined) made.className = `change ${tone}`;
  if (name) {
    const label = document.createElement("i");
    label.textContent = name;
    label.title = PRICES[name] ?? "";
    made.append(label, " ");
  }
  made.append(text);
  return made;
}
