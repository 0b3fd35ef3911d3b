// How many alerts are open, on all pages; and the drawer that says which.

import { Feed } from "../network/feed.js";
import { Drawer } from "./drawer.js";

const NOT_LIVE = "the connection was lost";
const opener = document.getElementById("open-alerts");
const said = document.createElement("p"); // what a screen reader says of a change
const told = { open: opener.dataset.open === "" ? null : Number(opener.dataset.open), why: opener.dataset.why };
let isLive = true; // the page came with what was so then

/** Show what is known: where nothing comes any more that is nothing. */
function show() {
  const isKnown = isLive && told.open !== null;
  const why = isLive ? told.why : NOT_LIVE;
  const text = isKnown ? `${told.open} alerts are open` : "How many alerts are open is not known";
  setText("[data-count]", isKnown ? String(told.open) : "?");
  setText("[data-count-of]", isKnown ? " open" : ` not known: ${why}`);
  opener.dataset.open = isKnown ? told.open : "";
  if (said.textContent !== text) said.textContent = text;
  opener.title = isKnown ? "Alerts" : `Alerts: not known: ${why}`;
}

function setText(css, text) {
  const element = opener.querySelector(css);
  if (element.textContent !== text) element.textContent = text;
}

document.addEventListener("livermore:message", ({ detail: { alerts } }) => {
  if (!alerts) return;
  Object.assign(told, alerts);
  show();
  drawer.refresh();
});
document.addEventListener("livermore:link", ({ detail: { state } }) => {
  isLive = state === "live";
  show();
});

const drawer = new Drawer(opener.href);
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-alerts]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  drawer.open(link);
});
document.addEventListener("keydown", (event) => {
  if (event.key !== " " || !event.target.matches("a[data-alerts]")) return; // as a button's
  event.preventDefault();
  drawer.open(event.target);
});
for (const link of document.querySelectorAll("a[data-alerts]")) {
  link.setAttribute("role", "button");
  link.ariaHasPopup = "dialog";
  link.ariaExpanded = "false";
}
show();
said.className = "visually-hidden";
said.setAttribute("role", "status"); // from now on: what the page came with is no news
opener.after(said); // at the foot it would lengthen the page
if (!document.getElementById("link")) {
  const nothing = () => {}; // the events above say it
  new Feed({ onMessage: nothing, onLink: nothing, path: opener.dataset.socket }).connect();
}
