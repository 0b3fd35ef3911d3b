// The socket to the server: says what came, and how fresh that is.
// What all pages show, such as the number of open alerts, learns of it by events of the document.

import { exact } from "./times.js";

const FIRST_DELAY_MS = 1000;
const LONGEST_DELAY_MS = 30_000;
const SEEN_EVERY_MS = 2000;
const SILENCE_MS = 20_000; // after that we ask: what changed or a confirmation comes each 15 s
const ANSWER_MS = 10_000; // the longest that we wait for anything we asked for

const DAY_OLD = 4000;
const TRY_LATER = 4503;
const DATABASE_AWAY = "Not live: database away. Nothing can be changed until it is back.";
const REFUSED = { 401: 4401, 403: 4403 }; // a socket that was refused can't say why, a request can
const ENDED = {
  4401: "You are not logged in any more: log in again to go on.",
  4403: "You may not see this page any more.",
};

export class Feed {
  /** `onMessage(message)` takes each; `onLink({state, since, retryAt, text})` the connection's
      state: connecting, live, stale or ended. The first message after each start is a snapshot.
      `path` is the socket's, which the server knows: it may be below another one. */
  constructor({ onMessage, onLink, onOpen = () => {}, path = document.getElementById("link")?.dataset.socket }) {
    Object.assign(this, { onOpen, path });
    this.onMessage = (message) => (onMessage(message), tell("livermore:message", message));
    this.onLink = (link) => (onLink(link), tell("livermore:link", link));
    this.delay = FIRST_DELAY_MS;
    this.heardAt = Date.now(); // the page came with a snapshot
    this.ended = false;
    window.addEventListener("online", () => this.wake());
    document.addEventListener("visibilitychange", () => document.hidden || this.wake());
    setInterval(() => this.checkSilence(), 5000);
  }

  connect() {
    clearTimeout(this.retry);
    this.retry = null;
    this.socket?.close();
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = (this.socket = new WebSocket(`${scheme}//${location.host}${this.path}`));
    this.count = 0;
    this.asked = null;
    let opened = false;
    socket.onopen = () => ((opened = true), this.onOpen());
    socket.onmessage = (event) => this.take(socket, event);
    socket.onclose = async (event) => {
      if (socket !== this.socket) return; // given up
      const why = opened && event.code !== TRY_LATER ? {} : await whyRefused(this.path);
      if (socket === this.socket) this.closed(why.code ?? event.code, why.text);
    };
    const isLate = () => socket === this.socket && socket.readyState === WebSocket.CONNECTING;
    setTimeout(() => isLate() && this.giveUp(), ANSWER_MS);
  }

  send(message) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  refresh() {
    this.send({ type: "refresh" });
  }

  /** Begin anew, also where an attempt is on its way. */
  tryNow() {
    this.onLink({ state: "stale", since: this.heardAt, retryAt: Date.now() });
    this.connect();
  }

  /** Don't wait any longer where the next attempt waits for its time. */
  wake() {
    if (this.retry) this.connect();
  }

  take(socket, event) {
    if (socket !== this.socket) return;
    this.heardAt = Date.now();
    this.asked = null;
    this.count += 1;
    const message = JSON.parse(event.data);
    if (message.type === "snapshot") {
      this.delay = FIRST_DELAY_MS;
      this.onLink({ state: "live" });
    }
    this.onMessage(message);
    this.acknowledge();
  }

  /** Tell the server how much we have taken, at most every two seconds: see warmup/network/socket/consumer.py. */
  acknowledge() {
    const wait = (this.seenAt ?? 0) + SEEN_EVERY_MS - Date.now();
    if (wait > 0) {
      this.seen ??= setTimeout(() => ((this.seen = null), this.acknowledge()), wait);
      return;
    }
    this.seenAt = Date.now();
    this.send({ type: "seen", count: this.count });
  }

  closed(code, text) {
    this.socket = null;
    if (code in ENDED) {
      this.ended = true;
      this.onLink({ state: "ended", since: this.heardAt, text: ENDED[code] });
    } else if (code === DAY_OLD) {
      this.connect();
    } else {
      const wait = this.delay * (0.5 + Math.random() / 2);
      this.delay = Math.min(LONGEST_DELAY_MS, this.delay * 2);
      this.retry = setTimeout(() => this.connect(), wait);
      this.onLink({ state: "stale", since: this.heardAt, retryAt: Date.now() + wait, text });
    }
  }

  giveUp() {
    const socket = this.socket;
    this.closed(1006); // its own close event may take minutes
    socket.close();
  }

  checkSilence() {
    const now = Date.now();
    if (this.ended || this.socket?.readyState !== WebSocket.OPEN) return;
    if (this.asked && now - this.asked > ANSWER_MS) {
      this.giveUp();
    } else if (!this.asked && now - this.heardAt > SILENCE_MS) {
      this.asked = now;
      this.refresh();
    }
  }
}

function tell(name, detail) {
  document.dispatchEvent(new CustomEvent(name, { detail }));
}

/** Return the close code that a socket would have had which was not let in, or the reason. */
async function whyRefused(path) {
  const headers = { Accept: "application/json" };
  const signal = AbortSignal.timeout(ANSWER_MS); // or no attempt would follow
  try {
    const page = await fetch(location.href, { method: "HEAD", headers, signal });
    if (page.status in REFUSED) return { code: REFUSED[page.status] };
    if (page.headers.get("Livermore-Away") === "database") return { text: "database away." };
    const origin = encodeURIComponent(location.origin);
    const answer = await fetch(`${path}?origin=${origin}`, { headers, signal });
    return answer.ok ? { text: (await answer.json()).text } : {};
  } catch {
    return {};
  }
}

/** Show the connection's state in the banner of templates/network/link.html. */
export class LinkBanner {
  constructor(element, feed) {
    this.element = element;
    this.text = element.querySelector("[data-link-text]");
    this.wait = element.querySelector("[data-link-wait]");
    this.again = element.querySelector("[data-link-again]");
    this.again.addEventListener("click", () => feed().tryNow());
    setInterval(() => this.countDown(), 1000);
  }

  show({ state, since, retryAt, text }) {
    this.state = state;
    this.element.dataset.link = state === "live" && this.away ? "away" : state;
    document.documentElement.classList.toggle("is-stale", state === "stale" || state === "ended");
    this.retryAt = retryAt;
    this.again.hidden = state !== "stale";
    if (state !== "stale" || this.since !== since || text) {
      this.since = state === "stale" ? since : null;
      this.text.textContent = this.sentence(state, since, text);
    }
    this.countDown();
  }

  /** Take in what a message says of the database, without which nothing can be changed. */
  receive({ type, away, databaseAway }) {
    if (type === "snapshot") this.away = databaseAway;
    else if (type === "database") this.away = away;
    else return;
    if (this.state === "live") this.show({ state: "live" });
  }

  sentence(state, since, text) {
    if (state === "live") return this.away ? DATABASE_AWAY : "Live";
    if (state === "stale") return `Stale since ${clock(since)}: ${text || "the connection was lost."}`;
    return `${text} What you see is of ${clock(since)}.`;
  }

  countDown() {
    const seconds = Math.ceil((this.retryAt - Date.now()) / 1000);
    const text = seconds > 0 ? `Reconnecting in ${seconds} s` : "Reconnecting…";
    this.wait.textContent = this.retryAt ? text : "";
  }
}

function clock(ms) {
  return `${exact(ms).slice(11, 19)} UTC`;
}
