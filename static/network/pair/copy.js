// Buttons that copy what stands beside them.

import { toast } from "../toasts.js";

export function enhanceCopying(root = document) {
  for (const button of root.querySelectorAll("button[data-copy]")) {
    button.addEventListener("click", () => copy(button));
  }
}

/** Copy; where a browser lets nobody (a page that came without TLS), mark it to be copied by keys. */
async function copy(button) {
  const source = document.getElementById(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(source.textContent);
    toast(`Copied: ${source.textContent}`);
  } catch {
    getSelection().selectAllChildren(source);
    toast("The browser does not let this page copy: it is marked, press Ctrl+C.");
  }
}
