// Completes symbols from the exchange's listing, also behind the last comma of several.

const PAUSE_MS = 200;

export function completeSymbols(root = document) {
  let timer;
  root.addEventListener("input", (event) => {
    if (!event.target.matches("input[data-listing]")) return;
    clearTimeout(timer);
    timer = setTimeout(() => complete(event.target), PAUSE_MS);
  });
}

async function complete(input) {
  const [before, last] = splitAtLast(input.value);
  if (!last) return;
  try {
    const address = `${input.dataset.listing}?q=${encodeURIComponent(last)}`;
    const response = await fetch(address, { headers: { Accept: "application/json" } });
    const { symbols } = await response.json();
    input.list.replaceChildren(...symbols.map((symbol) => option(before + symbol)));
  } catch {
    input.list.replaceChildren(); // completing is a help: without it one types the name
  }
}

function splitAtLast(text) {
  const at = Math.max(text.lastIndexOf(","), text.lastIndexOf(" ")) + 1;
  return [text.slice(0, at), text.slice(at).trim()];
}

function option(value) {
  const made = document.createElement("option");
  made.value = value;
  return made;
}
