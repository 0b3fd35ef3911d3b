// The page's colours as a canvas takes them: variables resolved for the theme of now.

const NAMES = {
  up: "--solid-good",
  down: "--solid-bad",
  hole: "--solid-bad",
  quiet: "--solid-warn",
  value: "--solid-busy",
  signal: "--solid-warn",
  grid: "--line",
  level: "--strong-line",
  text: "--quiet",
  panel: "--off-bg",
};

/** Return {use: "rgb(r, g, b)"}. */
export function themeColors() {
  const probe = document.createElement("i");
  document.getElementById("pair").append(probe);
  const colors = {};
  for (const [use, name] of Object.entries(NAMES)) {
    probe.style.color = `var(${name})`;
    colors[use] = getComputedStyle(probe).color;
  }
  probe.remove();
  return colors;
}

/** Return a colour of `themeColors` that lets through what is behind it. */
export function faded(color, opacity) {
  return color.replace("rgb(", "rgba(").replace(")", `, ${opacity})`);
}

/** Call `changed` whenever the theme has changed, by the admin's toggle or by the system. */
export function watchTheme(changed) {
  const root = document.documentElement;
  new MutationObserver(changed).observe(root, { attributeFilter: ["data-theme"] });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);
}
