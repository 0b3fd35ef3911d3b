// The Network page: begins with the snapshot it came with, then follows /ws/network/.

import { enhanceActions } from "./actions.js";
import { arrange, watchOver } from "./cards/arrange.js";
import { CardView, newCard } from "./cards/card.js";
import { enhanceChoosing } from "./choose.js";
import { Feed, LinkBanner } from "./feed.js";
import { completeSymbols } from "./symbols.js";
import { receivedFromServer, setServerTime, showTime, tickTimes } from "./times.js";
import { toast } from "./toasts.js";

const views = new Map(); // exchange's id -> CardView
let waiting = false; // for a snapshot, because something was missed

const take = {
  snapshot({ serverTime, mayOperate, cards, agents, readers, accounts }) {
    waiting = false;
    if (mayOperate !== snapshot.mayOperate) location.reload(); // other buttons than this page has
    setServerTime(serverTime);
    const ids = new Set(cards.map((card) => card.exchangeId));
    for (const id of views.keys()) if (!ids.has(id)) take.gone({ exchangeId: id });
    for (const card of cards) (views.get(card.exchangeId) ?? addCard(card)).show(card);
    arrange(views);
    take.agents({ agents });
    take.readers({ readers });
    take.accounts({ accounts });
  },

  card({ exchangeId, since, version, serverTime, changes }) {
    if (waiting) return;
    receivedFromServer(serverTime);
    if (since === 0 && !views.has(exchangeId)) addCard({ exchangeId, ...changes });
    const view = views.get(exchangeId);
    if (!view || (since !== 0 && view.version !== since)) {
      waiting = true;
      feed.refresh();
      return;
    }
    view.show({ ...changes, version });
    if ("group" in changes) arrange(views);
  },

  gone({ exchangeId }) {
    views.get(exchangeId)?.element.remove();
    views.delete(exchangeId);
    arrange(views);
    countCards();
  },

  agents({ agents }) {
    const box = document.getElementById("agents");
    for (const line of box.querySelectorAll(".agent")) line.remove();
    box.prepend(...agents.map(agentLine));
    box.querySelector("[data-no-agent]").hidden = agents.length > 0;
  },

  readers({ readers }) {
    document.querySelector("#readers tbody").replaceChildren(...readers.map(readerRow));
    document.querySelector("#readers").hidden = !readers.length;
    document.querySelector("[data-no-readers]").hidden = readers.length > 0;
  },

  accounts({ accounts }) {
    document.querySelector("#accounts tbody").replaceChildren(...accounts.map(accountRow));
    document.querySelector("#accounts").hidden = !accounts.length;
    document.querySelector("[data-accounts]").hidden = !accounts.length;
    document.querySelector("[data-no-accounts]").hidden = accounts.length > 0;
  },

  error({ text }) {
    toast(text, { bad: true });
  },
};

/** Add a card where it belongs by name. */
function addCard(card) {
  const element = newCard(card.exchangeId);
  const before = [...document.querySelectorAll("#cards .card")].find(
    (other) => other.querySelector("[data-text=name]").textContent > card.name,
  );
  document.getElementById("cards").insertBefore(element, before ?? null);
  const view = new CardView(element, null);
  views.set(card.exchangeId, view);
  countCards();
  return view;
}

function countCards() {
  document.getElementById("no-cards").hidden = views.size > 0;
}

function agentLine({ hostname, ip, pid, running, processes }) {
  const line = document.createElement("p");
  line.className = "agent";
  const dot = document.createElement("span");
  dot.className = "dot";
  dot.ariaHidden = "true";
  const name = document.createElement("b");
  name.textContent = hostname;
  const where = new Map(processes.flatMap((each) => each.running.map((one) => [one, each.pid])));
  const named = running.map((one) => (where.has(one) ? `${one} (${where.get(one)})` : one));
  const what = named.length ? `runs ${named.join(", ")}` : "runs nothing";
  line.append(dot, name, ` ${ip}, process ${pid}: ${what}`);
  return line;
}

function readerRow({ client, exchange, requests, hitRatio, saved, sockets, slowestMs, seenAt }) {
  const row = document.getElementById("reader-template").content.firstElementChild.cloneNode(true);
  const [name, ...cells] = row.children;
  if (client) name.textContent = client;
  const ratio = hitRatio === null ? "–" : `${Math.floor(100 * hitRatio)} %`;
  const slowest = slowestMs === null ? "–" : slowestMs ? `${slowestMs} ms` : "< 1 ms";
  const texts = [exchange, requests, ratio, saved, sockets, slowest];
  for (const [at, text] of texts.entries()) cells[at].textContent = text;
  showTime(row.querySelector("time"), seenAt);
  return row;
}

function accountRow(account) {
  const row = document.getElementById("account-template").content.firstElementChild.cloneNode(true);
  const [name, exchange, state, keys] = row.children;
  row.dataset.account = account.id;
  name.textContent = account.displayName;
  exchange.textContent = account.exchange;
  state.replaceChildren();
  if (account.isDefault) state.append(tag("★ default", "good"));
  if (!account.isActive) state.append(tag("inactive"));
  const variables = Object.entries(account.environment);
  if (variables.length) keys.replaceChildren(...variables.flatMap(variable));
  for (const each of row.querySelectorAll("[data-to]")) leadToAccount(each, account);
  for (const each of row.querySelectorAll("[data-account-name]")) each.textContent = account.displayName;
  return row;
}

/** Let a link or form of the template do what it says to this account. */
function leadToAccount(element, { id, exchangeId, displayName, isDefault, isActive }) {
  const attribute = element.matches("form") ? "action" : "href";
  const base = element.getAttribute(attribute).replace(/0\/setup\/.*$/, "");
  element.setAttribute(attribute, `${base}${exchangeId}/setup/${element.dataset.to}?account=${id}`);
  if (attribute === "action") {
    element.hidden = isDefault || !isActive;
    element.querySelector("button").ariaLabel += displayName;
  }
}

function variable([name, isSet]) {
  const code = document.createElement("code");
  code.textContent = name;
  return [code, " ", isSet ? tag("✓ set", "good") : tag("! not set", "warn"), " "];
}

function tag(text, tone = "") {
  const made = document.createElement("span");
  made.className = `tag ${tone}`;
  made.textContent = text;
  return made;
}

const banner = new LinkBanner(document.getElementById("link"), () => feed);
const feed = new Feed({
  onMessage: (message) => {
    banner.receive(message);
    take[message.type]?.(message);
  },
  onLink: (link) => banner.show(link),
});

document.documentElement.classList.add("js");
const snapshot = JSON.parse(document.getElementById("snapshot").textContent);
setServerTime(snapshot.serverTime);
for (const card of snapshot.cards) {
  const element = document.getElementById(`exchange-${card.exchangeId}`);
  views.set(card.exchangeId, new CardView(element, card));
}
watchOver(views);
tickTimes();
enhanceActions();
enhanceChoosing();
completeSymbols();
feed.connect();
