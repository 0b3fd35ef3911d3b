// The dialog of templates/network/dialogs/symbols.html: searches by script, and keeps what was chosen.

import { toast } from "./toasts.js";

const PAUSE_MS = 150;
const NAMED = 5;
const choices = new WeakMap(); // [data-choose] -> {symbols, timer, count}

export function enhanceChoosing(root = document) {
  document.addEventListener("network:shown", ({ target }) => {
    const choose = target.querySelector?.("[data-choose]");
    if (!choose) return;
    settle(choose);
    if (choose.hasAttribute("data-wait")) find(choose, { wait: 1 });
  });
  root.addEventListener("input", ({ target }) => {
    const form = target.closest("form[data-find]");
    if (form) later(form.closest("[data-choose]"));
  });
  root.addEventListener("submit", (event) => {
    if (!event.target.matches("form[data-find]")) return;
    event.preventDefault();
    find(event.target.closest("[data-choose]"));
  });
  root.addEventListener("change", ({ target }) => {
    const choose = target.closest("[data-choose]");
    if (choose && target.type === "checkbox") chosen(choose, target);
  });
  root.addEventListener("click", (event) => {
    const page = event.target.closest("[data-choose] a[data-page]");
    if (page) {
      event.preventDefault();
      find(page.closest("[data-choose]"), { page: page.dataset.page });
    }
    const clear = event.target.closest("[data-clear]");
    if (clear) forget(clear.closest("[data-choose]"));
  });
  root.addEventListener("keydown", move);
}

function stateOf(choose) {
  if (!choices.has(choose)) choices.set(choose, { symbols: new Set(), count: 0 });
  return choices.get(choose);
}

function later(choose) {
  const state = stateOf(choose);
  clearTimeout(state.timer);
  state.timer = setTimeout(() => find(choose), PAUSE_MS);
}

/** Ask for what fits, and put it in place of what is shown; an answer that came too late doesn't. */
async function find(choose, more = {}) {
  const state = stateOf(choose);
  clearTimeout(state.timer);
  const turn = more.wait ? state.count : ++state.count;
  const asked = new URLSearchParams(new FormData(choose.querySelector("[data-find]")));
  for (const [name, value] of Object.entries(more)) asked.set(name, value);
  try {
    const address = `${choose.dataset.address}?${asked}`;
    const response = await fetch(address, { headers: { Accept: "application/json" } });
    const { html, text } = await response.json();
    if (!html) throw new Error(text);
    if (more.wait && choose.isConnected && turn !== state.count) return find(choose);
    if (turn === state.count) place(choose, html);
  } catch (error) {
    toast(error.message || "The server did not answer. Try again.", { bad: true });
  }
}

function place(choose, html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  const results = choose.querySelector("[data-results]");
  const focused = results.contains(document.activeElement) && document.activeElement.value;
  results.replaceWith(template.content.querySelector("[data-results]"));
  settle(choose);
  const again = focused && boxes(choose).find((box) => box.value === focused);
  if (again) rove(choose, again, true);
}

/** Make the boxes that are shown say what is chosen. */
function settle(choose) {
  const { symbols } = stateOf(choose);
  for (const box of boxes(choose)) {
    box.removeAttribute("name"); // all that are chosen go in one field, shown or not
    box.checked = symbols.has(box.value);
    box.tabIndex = -1;
  }
  const first = boxes(choose)[0];
  if (first) first.tabIndex = 0;
  tell(choose);
}

function chosen(choose, box) {
  const { symbols } = stateOf(choose);
  const changed = box.hasAttribute("data-all") ? boxes(choose) : [box];
  for (const each of changed) {
    each.checked = box.checked;
    if (box.checked) symbols.add(each.value);
    else symbols.delete(each.value);
  }
  if (changed[0] === box) rove(choose, box, false);
  tell(choose);
}

function forget(choose) {
  stateOf(choose).symbols.clear();
  settle(choose);
}

function tell(choose) {
  const form = choose.querySelector("form[data-change]");
  if (!form) return;
  const symbols = [...stateOf(choose).symbols];
  let field = form.querySelector("input[data-symbols]");
  if (!field) {
    field = document.createElement("input");
    field.type = "hidden";
    field.name = "symbols";
    field.dataset.symbols = "";
    form.prepend(field);
  }
  field.value = symbols.join(",");
  const all = choose.querySelector("[data-all]");
  const shown = boxes(choose);
  if (all) {
    all.checked = shown.length > 0 && shown.every((box) => box.checked);
    all.indeterminate = !all.checked && shown.some((box) => box.checked);
  }
  const text = choose.querySelector("[data-chosen]");
  const more = symbols.length > NAMED ? ", …" : "";
  const named = symbols.slice(0, NAMED).join(", ") + more;
  text.replaceChildren(...(symbols.length ? [`${symbols.length} chosen: ${named} `, clearing()] : []));
}

function clearing() {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "small";
  button.dataset.clear = "";
  button.textContent = "Clear";
  return button;
}

function boxes(choose) {
  return [...choose.querySelectorAll("[data-results] tbody input[type=checkbox]")];
}

/** Let Tab lead to one box only, arrows to the others. */
function rove(choose, box, focus) {
  for (const each of boxes(choose)) each.tabIndex = each === box ? 0 : -1;
  if (focus) box.focus();
}

function move(event) {
  const box = event.target.closest?.("[data-choose] tbody input[type=checkbox]");
  if (!box || event.altKey || event.ctrlKey || event.metaKey) return;
  const choose = box.closest("[data-choose]");
  const all = boxes(choose);
  const at = all.indexOf(box);
  const last = all.length - 1;
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + 10, PageUp: at - 10, Home: 0, End: last };
  if (!(event.key in to)) return;
  event.preventDefault();
  const target = all[Math.max(0, Math.min(last, to[event.key]))];
  rove(choose, target, true);
  target.scrollIntoView({ block: "nearest" });
}
