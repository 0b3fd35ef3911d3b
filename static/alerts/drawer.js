// The drawer of alerts: the list as the server wrote it, asked for again while it is open.

const EVERY_MS = 5000; // how deliveries go on, and for how long something lasts
const ANSWER_MS = 10_000;
const HEADERS = { Accept: "application/json" };
const PRESSED = "a, summary";

export class Drawer {
  constructor(address) {
    this.address = address;
    this.html = "";
  }

  open(opener) {
    this.opener = opener;
    this.dialog ??= this.make();
    if (this.dialog.open) return;
    opener.ariaExpanded = "true";
    this.dialog.showModal();
    this.timer = setInterval(() => this.refresh(), EVERY_MS);
    this.refresh();
  }

  make() {
    const made = document.createElement("dialog");
    made.id = "alerts-drawer";
    made.className = "alerts-drawer";
    made.ariaLabel = "Alerts";
    const close = document.createElement("button");
    close.type = "button";
    close.className = "alerts-close";
    close.textContent = "Close";
    close.addEventListener("click", () => made.close());
    this.notice = document.createElement("p");
    this.notice.className = "alerts-notice";
    this.notice.setAttribute("role", "status");
    this.list = document.createElement("div");
    this.list.textContent = "…";
    made.append(close, this.notice, this.list);
    made.addEventListener("click", ({ target }) => target === made && made.close()); // beside it
    made.addEventListener("close", () => this.closed());
    document.body.append(made);
    return made;
  }

  closed() {
    clearInterval(this.timer);
    this.opener.ariaExpanded = "false";
    this.opener.focus();
  }

  /** Ask for the list, one request at a time; what was asked for meanwhile is one more. */
  async refresh() {
    if (!this.dialog?.open) return;
    if (this.asking) {
      this.again = true;
      return;
    }
    this.asking = true;
    try {
      const signal = AbortSignal.timeout(ANSWER_MS);
      const response = await fetch(this.address, { headers: HEADERS, signal });
      const { html, text } = await answerOf(response);
      if (html === undefined) this.notKnown(text);
      else this.show(html);
    } catch {
      this.notKnown("the server does not answer.");
    } finally {
      this.asking = false;
      if (this.again) {
        this.again = false;
        this.refresh();
      }
    }
  }

  notKnown(text) {
    this.notice.textContent = `It is not known what is open now: ${text}`;
    if (!this.html) this.list.textContent = "";
  }

  /** Replace the list where it is another; what was unfolded, and where one was, stays. */
  show(html) {
    this.notice.textContent = "";
    if (html === this.html) return;
    this.html = html;
    const unfolded = new Set([...this.list.querySelectorAll("details[open]")].map(({ dataset }) => dataset.key));
    const place = placeOf(this.list);
    const { scrollTop } = this.dialog;
    this.list.innerHTML = html; // a template's, in which all that is quoted is escaped
    for (const each of this.list.querySelectorAll("details")) each.open = unfolded.has(each.dataset.key);
    this.dialog.scrollTop = scrollTop;
    place?.()?.focus({ preventScroll: true });
  }
}

async function answerOf(response) {
  const type = response.headers.get("Content-Type") ?? "";
  if (type.includes("application/json")) return response.json();
  return { text: `the server refused (${response.status}): reload the page.` };
}

/** Return what finds the link again that has the focus, null where none of the list has it. */
function placeOf(list) {
  const one = document.activeElement;
  if (!list.contains(one)) return null;
  const { alert } = one.closest("[data-alert]")?.dataset ?? {};
  const within = () => (alert ? list.querySelector(`[data-alert="${alert}"]`) : list);
  const at = [...within().querySelectorAll(PRESSED)].indexOf(one);
  return () => within()?.querySelectorAll(PRESSED)[at] ?? list.closest("dialog").querySelector("button");
}
