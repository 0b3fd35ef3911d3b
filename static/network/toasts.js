// Short notes that go away by themselves; those of failures stay until they are closed.

const SHOWN_MS = 7000;

export function toast(text, { bad = false } = {}) {
  const box = document.getElementById("toasts");
  const note = document.createElement("div");
  note.className = bad ? "toast bad" : "toast";
  note.append(text, closeButton(note));
  box.append(note);
  raise(box);
  if (!bad) setTimeout(() => note.remove(), SHOWN_MS);
  return note;
}

function closeButton(note) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "small";
  button.textContent = "Close";
  button.addEventListener("click", () => note.remove());
  return button;
}

/** Bring the notes above an open dialog, which is in the browser's top layer. */
function raise(box) {
  if (!box.showPopover) return;
  box.popover = "manual";
  if (box.matches(":popover-open")) box.hidePopover();
  box.showPopover();
}
