// Times relative to the server's clock: this machine's may be wrong.

const UNITS = [[86400, "d"], [3600, "h"], [60, "min"]];
let offset = -Infinity; // the server's clock minus ours; messages that came late make it smaller

export function receivedFromServer(serverTime) {
  offset = Math.max(offset, serverTime - Date.now());
}

/** Begin anew, as after a connection was lost: a clock may have been set meanwhile. */
export function setServerTime(serverTime) {
  offset = serverTime - Date.now();
}

export function now() {
  return Date.now() + (offset === -Infinity ? 0 : offset);
}

export function ago(ms) {
  const seconds = Math.floor(Math.max(0, now() - ms) / 1000);
  for (const [size, unit] of UNITS) {
    if (seconds >= size) return `${Math.floor(seconds / size)} ${unit} ago`;
  }
  return `${seconds} s ago`;
}

/** Return in how long `ms` is. */
export function until(ms) {
  const seconds = Math.ceil((ms - now()) / 1000);
  if (seconds <= 0) return "now";
  for (const [size, unit] of UNITS) {
    if (seconds >= 2 * size) return `in ${Math.floor(seconds / size)} ${unit}`;
  }
  return `in ${seconds} s`;
}

export function exact(ms) {
  return `${new Date(ms).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

/** Make a <time> element tell `ms`, or nothing for null. */
export function showTime(element, ms) {
  if (ms === null || ms === undefined) {
    for (const name of ["data-ms", "datetime", "title"]) element.removeAttribute(name);
    element.textContent = "";
    return;
  }
  if (element.dataset.ms !== String(ms)) {
    element.dataset.ms = ms;
    element.dateTime = new Date(ms).toISOString();
    element.title = exact(ms);
  }
  const text = "coming" in element.dataset ? until(ms) : ago(ms);
  if (element.textContent !== text) element.textContent = text;
}

/** Let all times of the page go on, each second. */
export function tickTimes() {
  setInterval(() => {
    for (const element of document.querySelectorAll("time[data-ms]")) {
      showTime(element, Number(element.dataset.ms));
    }
  }, 1000);
}
