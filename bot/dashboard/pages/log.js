// The log: filtered, followed, each line to be opened.
import { ask } from "./api.js";
import { complain, startPage } from "./app.js";
import { badge, byId, el, put, say } from "./dom.js";
import { NONE, clockTime, day, localTime, longTime, plain } from "./format.js";
import { onKey, walkable } from "./keys.js";
import { Stream } from "./stream.js";

const PAGE = 200, TYPING_MS = 250;
const ALWAYS = new Set(["ts", "level", "event", "symbol", "cursor", "run_id", "mode", "module", "simulated", "unproven"]);
const RANKS = { debug: 0, info: 1, warning: 2, error: 3, critical: 4 };
const SIGNS = { warning: ["▲ warning", "warn"], error: ["✕ error", "alarm"], critical: ["✕ critical", "alarm"] };
const view = { level: "", symbol: "", event: "", before: null, timer: 0 };

const stream = new Stream({ most: 600, keyOf, show, noun: "lines" });

/** What tells two lines apart. @param {Object} line Of /api/log. @returns {string} A key. */
function keyOf(line) {
  return String(line.cursor ?? JSON.stringify(line));
}

/** Whether a line is asked for. @param {Object} line Of the stream. @returns {boolean} By level, symbol and event. */
function wanted(line) {
  return (RANKS[line.level] ?? 1) >= (RANKS[view.level] ?? 0) && (!view.symbol || line.symbol === view.symbol) &&
    String(line.event ?? "").startsWith(view.event);
}

/** When a line was written. @param {Object} line The line. @returns {number} Milliseconds; NaN where it does not say. */
const writtenAt = (line) => (typeof line.ts === "number" ? line.ts : Date.parse(line.ts));

/** A line of the list. @param {Object} line Of /api/log. @returns {HTMLElement} An item. */
function item(line) {
  const at = writtenAt(line);
  const [sign, colour] = SIGNS[line.level] ?? [line.level ?? NONE, ""];
  const rest = Object.entries(line).filter(([name]) => !ALWAYS.has(name)).map(([name, value]) => `${name}=${plain(value)}`);
  const more = el("pre", { tabindex: "0" });
  const summary = el("summary", {},
    when(at), el("span", {}, badge(sign, colour)),
    el("span", { class: "code", text: line.event ?? NONE }),
    el("span", { class: "rest" }, line.symbol ? el("b", { text: line.symbol }) : null, ` ${rest.join("  ")}`));
  const box = el("details", { ontoggle: () => { more.textContent = JSON.stringify({ ...line, cursor: undefined }, null, 2); } }, summary, more);
  return el("li", { data: { key: keyOf(line) } }, box);
}

/** When a line was written; a phone leaves the day out. @param {number} at Milliseconds. @returns {HTMLElement} It. */
const when = (at) => el("time", { title: `${longTime(at)} ${localTime(at)}` }, el("span", { class: "opt", text: `${day(at)} ` }), clockTime(at).replace(" UTC", ""));

/** Show the lines; those that are there stay as they are, opened or not. @param {Array<Object>} lines Newest first. */
function show(lines) {
  const place = byId("lines");
  const known = new Map([...place.children].map((one) => [one.dataset.key, one]));
  const held = place.contains(document.activeElement) ? document.activeElement : null;
  put(place, ...lines.map((line) => known.get(keyOf(line)) ?? item(line)));
  if (held?.isConnected) held.focus({ preventScroll: true });
  byId("nothing").hidden = lines.length > 0;
  say(byId("count"), `${lines.length} shown`);
}

/** Ask for a page. @param {?string} before Its cursor. @returns {Promise<Array<Object>>} Newest first. */
async function fetchPage(before) {
  const told = await ask("/api/log", { level: view.level, event: view.event, symbol: view.symbol, before, limit: PAGE });
  view.before = told.next_before;
  byId("older").hidden = view.before === null || view.before === undefined;
  return newestFirst(told.lines);
}

/** Lines in our order, whichever way they came. @param {Array<Object>} lines Of /api/log. @returns {Array<Object>} Newest first. */
function newestFirst(lines) {
  return lines.length > 1 && writtenAt(lines[0]) < writtenAt(lines.at(-1)) ? [...lines].reverse() : lines;
}

/** Begin anew. */
async function begin() {
  stream.begin(await fetchPage(null));
}

/** Offer the symbols. @param {Object} now The overview. */
function overview(now) {
  const picker = byId("symbol");
  const names = now.symbols.map((one) => one.symbol);
  if (picker.dataset.names === JSON.stringify(names)) return;
  picker.dataset.names = JSON.stringify(names);
  put(picker, el("option", { value: "", text: "all" }), ...names.map((name) => el("option", { value: name, text: name })));
  picker.value = view.symbol;
}

/** Follow the newest lines, or stand still. */
function toggleFollow() {
  stream.follow(!stream.following);
  byId("follow").setAttribute("aria-pressed", String(stream.following));
}

/** Put the tools up. */
function furnish() {
  for (const name of ["level", "symbol"]) {
    byId(name).addEventListener("change", (event) => { view[name] = event.target.value; begin().catch(complain); });
  }
  byId("filter").addEventListener("input", (event) => {
    view.event = event.target.value.trim();
    clearTimeout(view.timer);
    view.timer = setTimeout(() => begin().catch(complain), TYPING_MS);
  });
  byId("older").addEventListener("click", async () => stream.older(await fetchPage(view.before).catch((error) => { complain(error); return []; })));
  byId("follow").addEventListener("click", toggleFollow);
  onKey("f", "follow the newest lines", toggleFollow);
  walkable(() => [...byId("lines").children], (row) => { row.querySelector("details").open ^= true; });
}

furnish();
startPage({ overview, load: begin, log: (line) => wanted(line) && stream.add(line) });
