// The order of the cards, by need, and which of them are one line.

const GROUPS = ["error", "running", "idle"];
const TOUCH_MS = 5000;

const box = document.getElementById("cards");
let isPointed = false; // by something that hovers
let touchedAt = -Infinity;
let later = null;

/** Put the cards where they belong, but not while somebody is about to click or type there. */
export function arrange(views) {
  clearTimeout(later);
  const isBusy = isSomebodyThere();
  for (const view of views.values()) {
    // Of a card that somebody has in hand that one may change its size.
    if (!isBusy || view.element.matches(":hover, :focus-within")) {
      view.fold(view.group === "idle" && views.size > 1);
    }
  }
  if (isBusy) {
    later = setTimeout(() => arrange(views), TOUCH_MS);
    return;
  }
  const wanted = [...views.values()].sort(byNeed).map(({ element }) => element);
  const focused = box.contains(document.activeElement) ? document.activeElement : null;
  wanted.forEach((element, at) => {
    if (box.children[at] !== element) box.insertBefore(element, box.children[at] ?? null);
  });
  if (focused && document.activeElement !== focused) focused.focus({ preventScroll: true });
}

/** Arrange again as soon as whoever kept the cards in place has left them. */
export function watchOver(views) {
  box.addEventListener("pointerdown", () => (touchedAt = Date.now()));
  box.addEventListener("pointerenter", (event) => (isPointed = event.pointerType !== "touch"));
  box.addEventListener("pointerleave", () => {
    isPointed = false;
    arrange(views);
  });
  box.addEventListener("focusout", () => setTimeout(() => arrange(views)));
  arrange(views);
}

function isSomebodyThere() {
  const isTouched = Date.now() - touchedAt < TOUCH_MS;
  return isPointed || isTouched || box.querySelector(":focus-visible") !== null;
}

function byNeed(one, other) {
  const need = GROUPS.indexOf(one.group) - GROUPS.indexOf(other.group);
  return need || (one.name < other.name ? -1 : 1);
}
