// What every page has: the banner, the bar, the live line, the theme, the keys. A page tells what is its own.
import { ApiError, ask } from "./api.js";
import { showBanner, showLoud, showPulse } from "./banner.js";
import { byId, el, put } from "./dom.js";
import { PLACES, listen, openHelp } from "./keys.js";
import { Line } from "./live.js";
import { keep } from "./memory.js";

/**
 * @typedef {Object} Page
 * @property {function(): Promise<void>} load Asks for what the page shows, and shows it; called again when the line is back.
 * @property {function(Object): void} [overview] Shows what of /api/overview belongs to the page.
 * @property {function(Object): void} [decision] A decision was made.
 * @property {function(Object): void} [log] A line was logged.
 * @property {function(): void} [redraw] The theme changed.
 */

const root = document.documentElement;
const wishesDark = matchMedia("(prefers-color-scheme: dark)");
const now = { overview: null, at: 0, line: { state: "connecting", since: Date.now() } };
let page = null;

/**
 * Start a page.
 * @param {Page} own What is its own.
 * @returns {Promise<void>} Done when it is drawn for the first time.
 */
export async function startPage(own) {
  page = own;
  furnish();
  listen();
  const topics = ["minute", "state", ...["decision", "log"].filter((name) => page[name])];
  const line = new Line({ event: heard, state: turned }, topics);
  await refresh();
  shown();
  root.dataset.drawn = "true";
  line.start();
  setInterval(tick, 1000);
}

/** Note when the page's words were there, in milliseconds since it was asked for; its charts may follow. */
export function shown() {
  root.dataset.shown ??= String(Math.round(performance.now()));
}

/** The overview as it was told last. @returns {?Object} Null before the first. */
export const overviewNow = () => now.overview;

/** Whether the page is dark. @returns {boolean} By choice or by the system. */
export function isDark() {
  return root.dataset.theme ? root.dataset.theme === "dark" : wishesDark.matches;
}

/** Ask for everything anew. */
async function refresh() {
  const first = ask("/api/overview").then(learned);
  const settled = await Promise.allSettled([first, page.load()]);
  const failed = settled.find((one) => one.status === "rejected");
  if (failed) complain(failed.reason);
  else complain(null);
}

/**
 * The bot told of itself.
 * @param {Object} told /api/overview.
 */
function learned(told) {
  now.overview = told;
  now.at = Date.now();
  page.overview?.(told);
  tick();
}

/**
 * An event came.
 * @param {string} name Its name.
 * @param {any} data What came with it.
 */
function heard(name, data) {
  if (name === "minute") {
    complain(null);
    learned(data);
  } else if (name === "state") ask("/api/overview").then(learned, complain);
  else if (name === "refused") complain(data);
  else page[name]?.(data);
  root.dataset.heard = String(Number(root.dataset.heard ?? 0) + 1);
}

/**
 * The line changed its state.
 * @param {{state: string, since: number}} line What it is now.
 */
function turned(line) {
  const before = now.line.state;
  now.line = line;
  tick();
  const back = line.state === "live" && before !== "connecting";
  if (back) refresh();
  if (back && before === "lost") byId("spoken").textContent = "Connected again.";
}

/** Show what changes by the second. */
function tick() {
  showBanner(byId("banner"), now.overview);
  showLoud(byId("loud"), now.line, now.overview);
  showPulse(byId("pulse"), now.line, now.overview, (Date.now() - now.at) / 1000);
}

/**
 * Say on the page what could not be had, and what to do.
 * @param {?Error} error What went wrong; null takes the sentence away.
 */
export function complain(error) {
  const place = byId("problem");
  if (error?.status === 0 && root.dataset.drawn) return; // the line is lost, and says so above
  const said = error === null ? "" : error.message;
  if (place.dataset.said === said) return;
  place.dataset.said = said;
  place.hidden = error === null;
  delete byId("main").dataset.empty;
  if (error === null) return;
  if (!(error instanceof ApiError)) console.error(error);
  if (now.overview === null) byId("main").dataset.empty = "true";
  const todo = error.status === 503 ? "Start the bot with `bot run` or `make run`; this page goes on by itself." : null;
  put(place, el("h2", { text: error.status === 503 ? "Nothing to show yet" : "This could not be shown" }),
    el("p", { text: said }), todo ? el("p", { class: "quiet", text: todo }) : null);
}

/** Put up what stands around a page. */
function furnish() {
  const main = document.querySelector("main");
  main.id = "main";
  main.tabIndex = -1;
  main.prepend(el("section", { id: "problem", class: "problem", role: "alert", hidden: true }));
  document.body.prepend(
    el("a", { class: "skip", href: "#main", text: "Skip to the page" }),
    el("div", { class: "banner", id: "banner", role: "region", "aria-label": "What is traded, and with what money" }),
    el("div", { id: "loud" },
      el("p", { class: "loud", role: "alert", data: { name: "lost" }, hidden: true }),
      el("p", { class: "loud", role: "alert", data: { name: "silent" }, hidden: true })),
    bar());
  document.body.append(foot());
  wishesDark.addEventListener("change", () => { labelTheme(); page.redraw?.(); });
  labelTheme();
  showBanner(byId("banner"), null);
  document.body.dataset.shell = "true";
}

/** The bar of pages. @returns {HTMLElement} It. */
function bar() {
  const links = PLACES.map(([letter, path, name]) =>
    el("li", {}, el("a", { href: path, text: name, title: `g ${letter}`, "aria-current": path === location.pathname ? "page" : null })));
  return el("header", { class: "bar" }, el("div", {},
    el("nav", { "aria-label": "Pages" }, el("ul", {}, ...links)),
    el("div", { class: "side" },
      el("span", { class: "pulse", id: "pulse", text: "connecting …" }),
      el("button", { id: "theme", type: "button", onclick: otherTheme }),
      el("button", { type: "button", text: "?", title: "Keys", "aria-label": "Show the keys", onclick: openHelp }))));
}

/** The foot of the page. @returns {HTMLElement} It. */
function foot() {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  return el("footer", {},
    el("p", { text: `Times are UTC (your clock: ${zone}); numbers are written as your browser does. This page only reads: it cannot trade, pause or halt.` }),
    el("p", { id: "spoken", class: "unseen", role: "status" }));
}

/** Name the theme button after what it does. */
function labelTheme() {
  const button = byId("theme");
  button.textContent = isDark() ? "☀ Light" : "☾ Dark";
  button.setAttribute("aria-label", isDark() ? "Switch to the light theme" : "Switch to the dark theme");
}

/** Switch between light and dark, and remember it. */
function otherTheme() {
  root.dataset.theme = isDark() ? "light" : "dark";
  keep("dashboard-theme", root.dataset.theme);
  labelTheme();
  page.redraw?.();
}
