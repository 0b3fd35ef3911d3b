// Short notes that go away by themselves; those of failures stay until they are closed.
// They stand where no button is, if there is such a corner, and a click goes through them.

const SHOWN_MS = 7000;
const CORNERS = ["", "at-right", "at-top", "at-top at-right"];
const PRESSED = "button:enabled, a[href], summary, input, select, textarea";

export function toast(text, { bad = false } = {}) {
  const box = document.getElementById("toasts");
  const note = document.createElement("div");
  note.className = bad ? "toast bad" : "toast";
  note.append(text, closeButton(note));
  box.append(note);
  raise(box);
  place();
  if (!bad) setTimeout(() => take(note), SHOWN_MS);
  return note;
}

function take(note) {
  note.remove();
  place();
}

/** Leave the page room to be scrolled clear of the notes, and let them stand beside its buttons. */
function place() {
  const box = document.getElementById("toasts");
  const root = document.documentElement;
  const isShown = box.children.length > 0;
  root.classList.toggle("has-toasts", isShown);
  root.style.setProperty("--toasts", `${isShown ? box.offsetHeight + 16 : 0}px`);
  if (!isShown || !covered(box)) return;
  const found = CORNERS.map((corner) => {
    box.className = `toasts ${corner}`;
    return { corner, count: covered(box) };
  });
  const best = found.reduce((one, other) => (other.count < one.count ? other : one));
  box.className = `toasts ${best.corner}`;
}

/** Return how many things that can be pressed are below the box. */
function covered(box) {
  const area = box.getBoundingClientRect();
  const others = [...(document.querySelector("dialog[open]") ?? document).querySelectorAll(PRESSED)];
  return others.filter((each) => !box.contains(each) && overlap(area, each.getBoundingClientRect())).length;
}

function overlap(one, other) {
  return (
    other.width > 0 &&
    one.left < other.right &&
    other.left < one.right &&
    one.top < other.bottom &&
    other.top < one.bottom
  );
}

let isDue = false;
for (const what of ["scroll", "resize"]) {
  addEventListener(what, () => {
    if (isDue || !document.getElementById("toasts")?.children.length) return;
    isDue = true;
    requestAnimationFrame(() => ((isDue = false), place()));
  });
}

function closeButton(note) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "small";
  button.textContent = "Close";
  button.addEventListener("click", () => take(note));
  return button;
}

/** Bring the notes above an open dialog, which is in the browser's top layer. */
function raise(box) {
  if (!box.showPopover) return;
  box.popover = "manual";
  if (box.matches(":popover-open")) box.hidePopover();
  box.showPopover();
}
