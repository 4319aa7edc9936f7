// One symbol, live: its candles with what was forecast and what was traded.
import { ask } from "./api.js";
import { complain, overviewNow, shown, startPage } from "./app.js";
import { drawCandles } from "./candles.js";
import { clear } from "./charts.js";
import { badge, byId, el, facts, figure, put, rows, say, table } from "./dom.js";
import { NONE, bps, duration, known, localTime, longTime, money, number, percent, price, quoteOf, shortTime, tone, words } from "./format.js";
import { onKey } from "./keys.js";

const MINUTE = 60000, REDRAW_MS = 1500, SHOWN_MARKS = 60;
const SPANS = [[60, "1 h"], [240, "4 h"], [720, "12 h"], [1440, "24 h"]];
const view = { symbol: null, minutes: 240, until: null, told: null, drawnMs: 0, pending: 0, asked: 0 };

/** What the address says. */
function readAddress() {
  const given = new URLSearchParams(location.search);
  view.symbol = given.get("symbol");
  const minutes = Number(given.get("minutes"));
  if (SPANS.some(([span]) => span === minutes)) view.minutes = minutes;
}

/** Keep the address in step, so that it can be kept and sent. */
function writeAddress() {
  history.replaceState(null, "", `?${new URLSearchParams({ symbol: view.symbol ?? "", minutes: view.minutes })}`);
}

/** Offer the symbols that are traded. @param {Object} now The overview. */
function offer(now) {
  const names = now.symbols.map((one) => one.symbol);
  if (view.symbol === null || view.symbol === "") view.symbol = names[0] ?? null;
  if (view.symbol !== null && !names.includes(view.symbol)) names.push(view.symbol);
  const picker = byId("filter");
  if (picker.dataset.names !== JSON.stringify(names)) {
    put(picker, ...names.map((name) => el("option", { value: name, text: name })));
    picker.dataset.names = JSON.stringify(names);
  }
  picker.value = view.symbol ?? "";
}

/** Show what the overview tells of the symbol. @param {Object} now The overview. */
function overview(now) {
  offer(now);
  say(byId("title"), view.symbol ?? "Symbols");
  document.title = `${view.symbol ?? "Symbols"} · bot`;
  const one = now.symbols.find((each) => each.symbol === view.symbol);
  const held = (now.positions ?? []).find((each) => each.symbol === view.symbol);
  put(byId("figures"), ...(one ? symbolFigures(one, held) : [figure("Symbol", "not traded", "this run does not trade it")]));
  if (view.until === null && view.told) later();
}

/** Figures of a symbol. @param {Object} one Of the overview. @param {?Object} held Its position. @returns {Array<HTMLElement>} Blocks. */
function symbolFigures(one, held) {
  const said = one.forecast;
  const signal = typeof one.signal === "object" ? one.signal?.direction : one.signal;
  return [
    figure(`Close, ${quoteOf(one.symbol) || "quote"}`, price(one.close), `${percent(one.change_1d, 2, true)} in 24 h`, "lead"),
    figure("Candles", one.state === "silent" ? "SILENT" : words(one.state), `the newest ${duration(one.age_seconds)} old`, one.state === "fresh" ? "good" : "bad"),
    figure("Forecast", said ? bps(said.expected_return) : "none", said ? `over ${said.horizon_minutes} min, P(up) ${percent(said.probability_up, 1)}` : "", tone(said?.expected_return)),
    figure("Signal", words(signal), one.hold_reason ? `held back: ${words(one.hold_reason)}` : ""),
    held ? figure("Position", `${held.direction === "short" ? "▼ short" : "▲ long"} ${price(Math.abs(held.quantity))}`, `open profit ${money(held.unrealized, true)}`)
      : figure("Position", "none"),
  ];
}

/** Minutes come faster than anybody looks when a tape is played: redraw at a calm pace. */
function later() {
  if (view.pending) return;
  view.pending = setTimeout(() => {
    view.pending = 0;
    show().catch(complain);
  }, Math.max(0, view.drawnMs + REDRAW_MS - Date.now()));
}

/** Ask for the candles, and show them; an answer that was overtaken is dropped. */
async function show() {
  const turn = ++view.asked;
  if (view.symbol === null) {
    nothing("No symbol is traded yet.");
    return;
  }
  const told = await ask("/api/candles", { symbol: view.symbol, minutes: view.minutes, until_ms: view.until });
  if (turn !== view.asked) return;
  view.told = told;
  showMarks(told.marks);
  showLevels(told);
  shown();
  await redraw();
}

/** Draw what was told last. */
async function redraw() {
  const told = view.told;
  if (!told) return;
  view.drawnMs = Date.now();
  if (!told.candles.length) {
    nothing("There are no candles in this stretch.");
    return;
  }
  const [first, last] = [told.candles[0], told.candles.at(-1)];
  say(byId("status"), `${shortTime(first.opened_at_ms)} to ${shortTime(last.opened_at_ms + MINUTE)} UTC, ${number(told.candles.length)} candles${told.gaps.length ? `, ${told.gaps.length} gap${told.gaps.length > 1 ? "s" : ""}` : ""}`);
  byId("chart").setAttribute("aria-label", `Candles of ${told.symbol}, last close ${price(last.close)}`);
  await drawCandles(byId("chart"), told);
}

/** Say that there is nothing to draw. @param {string} sentence Why. */
function nothing(sentence) {
  clear(byId("chart"));
  put(byId("chart"), el("p", { class: "wait", text: sentence }));
  say(byId("status"), "");
}

/** List what was traded. @param {Array<Object>} marks Of /api/candles. */
function showMarks(marks) {
  const body = byId("marks");
  rows(body, marks.slice(-SHOWN_MARKS).reverse(), (one) => `${one.client_order_id}@${one.at_ms}@${one.kind}`, (one) => [
    { value: shortTime(one.at_ms), class: "w", title: localTime(one.at_ms) }, { value: words(one.kind), class: "w" },
    { value: one.side === "buy" ? "▲ buy" : "▼ sell", class: `w ${one.side === "buy" ? "up" : "down"}` },
    { value: price(one.quantity) }, { value: price(one.price) }, { value: known(one.pnl) ? money(one.pnl, true) : NONE, class: tone(one.pnl) },
    { value: one.client_order_id ?? NONE, class: "w code opt" },
  ]);
  body.closest(".scroll").hidden = !marks.length;
  body.closest("section").querySelector(".nothing").hidden = marks.length > 0;
}

/** List levels and gaps. @param {Object} told /api/candles. */
function showLevels(told) {
  const levels = told.levels.map((one) => facts([
    ["entry", `${price(one.entry_price)}, ${longTime(one.since_ms)}`], ["stop", price(one.stop)], ["target", price(one.take_profit)]]));
  const gaps = told.gaps.slice(-20).reverse().map((one) => el("p", {}, badge("gap", "warn"),
    ` ${shortTime(one.from_ms)} to ${shortTime(one.to_ms)} UTC, ${duration((one.to_ms - one.from_ms) / 1000)}`));
  put(byId("levels"), ...(levels.length ? levels : [el("p", { class: "nothing", text: "Nothing is held: no stop, no target." })]),
    ...(gaps.length ? gaps : [el("p", { class: "nothing", text: "No minute is missing." })]));
}

/** Look at another stretch. @param {?number} until Its end; null follows the newest minute. */
function stretch(until) {
  view.until = until;
  byId("follow").setAttribute("aria-pressed", String(until === null));
  show().catch(complain);
}

/** Move by half of what is seen. @param {number} way Minus one is earlier. */
function slide(way) {
  const last = view.told?.candles.at(-1);
  const newest = overviewNow()?.last_closed_at_ms ?? Infinity;
  const end = view.until ?? (last ? last.opened_at_ms + MINUTE : newest);
  const next = end + way * view.minutes * MINUTE * 0.5;
  if (Number.isFinite(next)) stretch(next >= newest ? null : Math.round(next));
}

/** Show another symbol. @param {string} symbol Its name. */
function pick(symbol) {
  view.symbol = symbol;
  writeAddress();
  overview(overviewNow());
  stretch(view.until);
}

/** Go to the next symbol of the list. @param {number} by How far. */
function step(by) {
  const names = [...byId("filter").options].map((one) => one.value);
  if (names.length) pick(names[(names.indexOf(view.symbol) + by + names.length) % names.length]);
}

/** Put the tools up. */
function furnish() {
  readAddress();
  byId("marks-here").append(table("Entries and exits", [["Time (UTC)", "w"], ["For", "w"], ["Side", "w"], ["Quantity"], ["Price"], ["Net"], ["Order", "w opt"]], "marks"));
  const buttons = SPANS.map(([minutes, name]) => el("button", { type: "button", text: name, "aria-pressed": String(minutes === view.minutes), onclick: (event) => {
    view.minutes = minutes;
    buttons.forEach((one) => one.setAttribute("aria-pressed", String(one === event.currentTarget)));
    writeAddress();
    stretch(view.until);
  } }));
  put(byId("spans"), ...buttons);
  byId("filter").addEventListener("change", (event) => pick(event.target.value));
  byId("before").addEventListener("click", () => slide(-1));
  byId("after").addEventListener("click", () => slide(1));
  byId("follow").addEventListener("click", () => stretch(view.until === null ? (view.told?.candles.at(-1)?.opened_at_ms ?? 0) + MINUTE : null));
  onKey("j", "next symbol", () => step(1));
  onKey("k", "symbol before", () => step(-1));
  onKey("[", "earlier", () => slide(-1));
  onKey("]", "later", () => slide(1));
  onKey("f", "follow the newest minute", () => stretch(null));
}

furnish();
startPage({
  overview, redraw,
  load: async () => {
    if (view.symbol === null) offer(await ask("/api/overview"));
    await show();
  },
});
