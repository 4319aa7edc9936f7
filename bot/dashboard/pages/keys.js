// Keys: to walk between pages, to filter, to go through a list. They can be switched off, for those whom they disturb.
import { byId, el } from "./dom.js";
import { keep, recall } from "./memory.js";

/** Letters after g, and where they lead. */
export const PLACES = [
  ["o", "/", "Overview"], ["s", "/symbols", "Symbols"], ["d", "/decisions", "Decisions"],
  ["m", "/model", "Model"], ["l", "/log", "Log"], ["h", "/health", "Health"],
];
const PATIENCE_MS = 1500;
const SWITCH = "dashboard-keys";
const own = new Map();
let waiting = 0;

/**
 * Give a page a key of its own.
 * @param {string} key As the browser names it.
 * @param {string} says What it does, for the help.
 * @param {function(): void} act What it does.
 */
export function onKey(key, says, act) {
  own.set(key, { says, act });
}

/** Listen from now on. */
export function listen() {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || byId("help")?.open) return;
    if (isTyping(event.target)) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (recall(SWITCH) === "off" && event.key !== "?") return;
    if (pressed(event.key)) event.preventDefault();
  });
}

/** Whether somebody writes there. @param {Element} at Where the key went. @returns {boolean} If so, it is a letter. */
function isTyping(at) {
  return at.matches("textarea, select, [contenteditable], input:not([type=checkbox]):not([type=radio])");
}

/** Do what a key is for. @param {string} key The key. @returns {boolean} Whether it is for anything. */
function pressed(key) {
  if (Date.now() - waiting < PATIENCE_MS) {
    waiting = 0;
    const place = PLACES.find(([letter]) => letter === key);
    if (place) location.assign(place[1]);
    return Boolean(place);
  }
  if (key === "g") waiting = Date.now();
  else if (key === "?") openHelp();
  else if (key === "t") byId("theme").click();
  else if (key === "/") byId("filter")?.focus();
  else if (own.has(key)) own.get(key).act();
  else return false;
  return true;
}

/**
 * Let j and k go through a list, and Enter or o open what is chosen.
 * @param {function(): Array<HTMLElement>} list The rows as they are shown.
 * @param {function(HTMLElement): void} open What opens one.
 */
export function walkable(list, open) {
  const current = () => list().findIndex((row) => row.getAttribute("aria-current") === "true");
  const step = (by) => {
    const shown = list();
    if (!shown.length) return;
    const next = Math.min(Math.max(current() + by, 0), shown.length - 1);
    shown.forEach((row, at) => (at === next ? row.setAttribute("aria-current", "true") : row.removeAttribute("aria-current")));
    shown[next].scrollIntoView({ block: "nearest" });
    (shown[next].querySelector("a, button, summary") ?? shown[next]).focus({ preventScroll: true });
  };
  onKey("j", "next in the list", () => step(1));
  onKey("k", "the one before", () => step(-1));
  onKey("o", "open what is chosen", () => {
    const row = list()[current()];
    if (row) open(row);
  });
}

/** Show which keys there are. */
export function openHelp() {
  byId("help")?.remove();
  const lines = [
    ...PLACES.map(([letter, , name]) => [["g", letter], `go to ${name}`]),
    [["/"], "filter, where the page has one"], [["t"], "light or dark"], [["?"], "this help"], [["Esc"], "leave a field, close"],
    ...[...own].map(([key, { says }]) => [[key], says]),
  ];
  const listed = lines.flatMap(([keys, says]) => [
    el("dt", {}, ...keys.flatMap((key, at) => [at ? " " : null, el("kbd", { text: key })])), el("dd", { text: says })]);
  const box = el("dialog", { id: "help", "aria-labelledby": "help-title" },
    el("h2", { id: "help-title", text: "Keys" }), el("dl", { class: "facts" }, ...listed), switchOfKeys(),
    el("form", { method: "dialog" }, el("button", { text: "Close", autofocus: true })));
  box.addEventListener("close", () => box.remove());
  document.body.append(box);
  box.showModal();
}

/** The box that switches single letters off. @returns {HTMLElement} A label with it. */
function switchOfKeys() {
  const box = el("input", { type: "checkbox" });
  box.checked = recall(SWITCH) !== "off";
  box.addEventListener("change", () => keep(SWITCH, box.checked ? null : "off"));
  return el("p", {}, el("label", {}, box, " Single keys act (? always opens this help)"));
}
