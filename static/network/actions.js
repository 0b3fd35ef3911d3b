// Forms and dialogs: everything here is a plain form or link that works without scripts too.

import { toast } from "./toasts.js";

const JSON_PLEASE = { Accept: "application/json" };
let dialog = null; // the one for fragments that the server sends

/** Send forms marked data-action by script, open links marked data-dialog in a dialog. */
export function enhanceActions(root = document) {
  root.addEventListener("submit", (event) => {
    if (event.target.matches("form[data-action]")) submitted(event);
  });
  root.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-dialog]");
    if (link && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      openLink(link.href);
    }
    const close = event.target.closest("[data-close]");
    if (close?.closest("dialog")) {
      event.preventDefault();
      close.closest("dialog").close();
    }
  });
}

function submitted(event) {
  const form = event.target;
  const button = event.submitter;
  event.preventDefault();
  if (button?.dataset.confirm) {
    confirmFirst(document.getElementById(button.dataset.confirm), button);
    return;
  }
  const address = button?.hasAttribute("formaction") ? button.formAction : form.action;
  send(address, new FormData(form, button), form, button);
}

/** Open a dialog whose form does what `button` would have done. */
function confirmFirst(asking, button) {
  const form = asking.querySelector("form");
  form.action = button.formAction;
  form.reset();
  const card = button.closest("[data-exchange]");
  const name = card.querySelector("[data-text=displayName]").textContent;
  asking.querySelector("[data-name]").textContent = name;
  asking.showModal();
}

async function send(address, body, form, button) {
  const pressed = button ?? form; // the form's other buttons work meanwhile
  if (pressed.hasAttribute("aria-busy")) return;
  pressed.setAttribute("aria-busy", "true");
  const waiting = button?.dataset.slow ? showWaiting(button.dataset.slow) : null;
  try {
    const response = await fetch(address, { method: "POST", body, headers: JSON_PLEASE });
    answered(response, await readAnswer(response), { form, address, waiting });
  } catch {
    toast("The server did not answer: nothing may have happened. Try again.", { bad: true });
  } finally {
    pressed.removeAttribute("aria-busy");
    if (waiting?.isConnected) dialog.close();
  }
}

async function readAnswer(response) {
  const type = response.headers.get("Content-Type") ?? "";
  if (type.includes("application/json")) return response.json();
  return { ok: false, text: `The server refused (${response.status}): reload the page.` };
}

function answered(response, answer, { form, address, waiting }) {
  const failed = !response.ok || !answer.ok;
  const unwanted = waiting && !(waiting.isConnected && dialog.open); // closed, or another form there
  const said = !response.ok || answer.html?.includes("data-said");
  const saysItself = said && answer.html && !unwanted; // a form to correct, to confirm, to undo
  if (answer.text && !saysItself) toast(answer.text, { bad: failed });
  if (answer.html) {
    if (!unwanted) show(answer.html);
  } else if (!failed) {
    form.closest("dialog")?.close();
  }
  document.dispatchEvent(new CustomEvent("network:answered", { detail: { answer, address } }));
}

async function openLink(address) {
  try {
    const response = await fetch(address, { headers: JSON_PLEASE });
    const answer = await readAnswer(response);
    if (answer.html) show(answer.html);
    else toast(answer.text, { bad: true });
  } catch {
    toast("The server did not answer. Try again.", { bad: true });
  }
}

/** Show a fragment of the server's in the dialog, opening it where it is closed. */
function show(html) {
  dialog ??= newDialog();
  dialog.innerHTML = html;
  const title = dialog.querySelector("[data-title]");
  if (title) {
    title.id = "dialog-title";
    title.tabIndex = -1;
    dialog.setAttribute("aria-labelledby", title.id);
  }
  if (!dialog.open) dialog.showModal();
  const first = dialog.querySelector("[aria-invalid=true], .errorlist + *, [autofocus]") ?? title;
  first?.focus();
  dialog.dispatchEvent(new CustomEvent("network:shown", { bubbles: true }));
}

function showWaiting(text) {
  const box = document.createElement("div");
  const title = document.createElement("h2");
  title.dataset.title = "";
  title.textContent = text;
  const bar = document.createElement("progress");
  bar.ariaLabel = text;
  const hide = document.createElement("button");
  hide.type = "button";
  hide.dataset.close = "";
  hide.textContent = "Hide";
  const buttons = document.createElement("p");
  buttons.className = "modal-buttons";
  buttons.append(hide);
  box.append(title, bar, buttons);
  show("");
  dialog.replaceChildren(box);
  return box;
}

function newDialog() {
  const made = document.createElement("dialog");
  made.className = "modal";
  document.body.append(made);
  return made;
}
