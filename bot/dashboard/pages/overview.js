// The first page: the account, what is held, every symbol, the last round trips.
import { ask } from "./api.js";
import { complain, overviewNow, startPage } from "./app.js";
import { badge, byId, el, figure, put, rows, say, table } from "./dom.js";
import { NONE, bps, duration, known, legWords, localTime, longTime, money, number, percent, price, quoteOf, shortTime, tone, words } from "./format.js";
import { walkable } from "./keys.js";
import { drawSpark } from "./spark.js";

const HOUR_MS = 3600000;
const SPANS = { day: 24 * HOUR_MS, week: 168 * HOUR_MS, all: null };
const FRESH = { fresh: ["fresh", "ok"], late: ["late", "warn"], silent: ["SILENT", "alarm"] };
const chosen = { span: "day", drawnMs: 0, pending: 0, curve: null };

/** The line of a symbol's page. @param {string} symbol The symbol. @returns {HTMLElement} A link. */
const linked = (symbol) => el("a", { href: `/symbols?symbol=${encodeURIComponent(symbol)}`, text: symbol });

/** Show the figures of the account. @param {Object} now The overview. */
function showFigures(now) {
  const quote = quoteOf(now.symbols?.[0]?.symbol);
  const gain = known(now.equity) && now.starting_cash ? now.equity / now.starting_cash - 1 : null;
  const open = (now.positions ?? []).reduce((sum, one) => sum + (one.unrealized ?? 0), 0);
  put(byId("figures"),
    figure(`Equity${quote ? `, ${quote}` : ""}`, money(now.equity), `${percent(gain, 2, true)} since the start with ${money(now.starting_cash)}`, "lead"),
    figure("Today", percent(now.day_return, 2, true), "since 00:00 UTC", tone(now.day_return)),
    figure("Drawdown", percent(now.drawdown), "below the highest equity"),
    figure("Open profit", known(now.equity) ? money(open, true) : NONE, `${(now.positions ?? []).length} held`, tone(open)),
    figure("Cash", money(now.cash)),
    figure("Fees paid", money(now.fees_paid), `funding ${money(now.funding_paid, true)}`),
    figure("Round trips", number(now.trade_count), "since the start"));
}

/** Cells of a position. @param {Object} one Of the overview. @returns {Array<Object>} Cells. */
const positionCells = (one) => [
  { value: linked(one.symbol), head: true, class: "w" },
  { value: one.direction === "short" ? "▼ short" : "▲ long", class: `w ${one.direction === "short" ? "down" : "up"}` },
  { value: price(Math.abs(one.quantity)) },
  { value: price(one.entry_price), title: localTime(one.entry_at_ms) },
  { value: price(one.mark) },
  { value: money(one.unrealized, true), class: tone(one.unrealized) },
  { value: price(one.stop) }, { value: price(one.take_profit) },
  { value: money(one.notional), class: "opt" },
  { value: shortTime(one.entry_at_ms), class: "opt", title: localTime(one.entry_at_ms) },
];

/** Cells of a resting order. @param {Object} one Of the overview. @returns {Array<Object>} Cells. */
const orderCells = (one) => [
  { value: one.symbol, head: true, class: "w" },
  { value: legWords(one.leg), class: "w" }, { value: `${one.side} ${words(one.type)}`, class: "w" },
  { value: price(one.quantity) }, { value: price(one.stop_price) }, { value: words(one.state), class: "w" },
  { value: one.client_order_id, class: "w code opt" },
];

/** Cells of a symbol. @param {Object} one Of the overview. @returns {Array<Object>} Cells. */
function symbolCells(one) {
  const [word, colour] = FRESH[one.state] ?? [words(one.state), ""];
  const said = one.forecast;
  return [
    { value: linked(one.symbol), head: true, class: "w" },
    { value: badge(word, colour), class: "w" },
    { value: duration(one.age_seconds), title: longTime(one.last_closed_at_ms) },
    { value: price(one.close) },
    { value: percent(one.change_1d, 2, true), class: tone(one.change_1d) },
    { value: said ? bps(said.expected_return) : NONE, class: tone(said?.expected_return), title: said ? `over ${said.horizon_minutes} minutes` : null },
    { value: said ? percent(said.probability_up, 1) : NONE, class: "opt" },
    { value: signalWords(one.signal), class: "w" },
    { value: words(one.hold_reason), class: "w opt" },
  ];
}

/** What the strategy wants, as words. @param {any} signal A word, or an object with one. @returns {string} Words. */
const signalWords = (signal) => words(typeof signal === "object" ? signal?.direction : signal);

/** Cells of a round trip. @param {Object} one Of /api/trades. @returns {Array<Object>} Cells. */
const tradeCells = (one) => [
  { value: shortTime(one.exit_at_ms), class: "w", title: localTime(one.exit_at_ms) },
  { value: linked(one.symbol), class: "w" },
  { value: one.direction === "short" ? "▼ short" : "▲ long", class: `w ${one.direction === "short" ? "down" : "up"}` },
  { value: price(one.entry_price) }, { value: price(one.exit_price) },
  { value: money(one.fees), class: "opt" },
  { value: money(one.pnl, true), class: tone(one.pnl) },
  { value: words(one.exit_reason), class: "w" },
  { value: duration((one.exit_at_ms - one.entry_at_ms) / 1000), class: "opt" },
];

/**
 * Show a list, or say that there is nothing in it.
 * @param {string} id Of the table's body; its section holds a `.nothing`.
 * @param {Array<Object>} items The list.
 * @param {function(Object): string} keyOf What tells two apart.
 * @param {function(Object): Array<Object>} cellsOf Cells of one.
 */
function list(id, items, keyOf, cellsOf) {
  const body = byId(id);
  rows(body, items, keyOf, cellsOf);
  body.closest(".scroll").hidden = !items.length;
  body.closest("section").querySelector(".nothing").hidden = items.length > 0;
}

/** Show what the overview tells. @param {Object} now /api/overview. */
function overview(now) {
  const symbols = now.symbols ?? [];
  showFigures(now);
  list("positions", now.positions ?? [], (one) => one.symbol, positionCells);
  list("orders", now.open_orders ?? [], (one) => one.client_order_id, orderCells);
  list("symbols", symbols, (one) => one.symbol, symbolCells);
  const ill = symbols.filter((one) => one.state !== "fresh").length;
  say(byId("symbols-count"), `${symbols.length} traded${ill ? `, ${ill} not fresh` : ""}`);
  say(byId("run"), runWords(now));
  if (chosen.curve) later();
}

/** Which run, and which model. @param {Object} now The overview. @returns {string} A line. */
function runWords(now) {
  const model = now.model?.model_id ? `model ${now.model.model_id}, ${now.model.proven ? "proven" : "unproven"}, ${duration(now.model.age_seconds)} old` : "no model";
  return [`last minute ${longTime(now.last_closed_at_ms)}`, model, `run ${now.run_id ?? NONE}`, `version ${now.version ?? NONE}`].join(" · ");
}

/** The curve and the trades follow the minutes, at their own pace. */
function later() {
  if (chosen.pending) return;
  chosen.pending = setTimeout(async () => {
    chosen.pending = 0;
    await Promise.all([curve(), trades()]).catch(complain);
  }, Math.max(0, chosen.drawnMs + 5000 - Date.now()));
}

/** Ask for the curve, and draw it. */
async function curve() {
  const span = SPANS[chosen.span];
  const last = overviewNow()?.last_closed_at_ms;
  const since = span && known(last) ? last - span : null;
  chosen.curve = await ask("/api/equity", { since_ms: since, points: 600 });
  draw();
}

/** Draw the curve that was told. */
function draw() {
  const told = chosen.curve;
  const enough = told && told.equity.length > 1;
  byId("curve").toggleAttribute("hidden", !enough);
  byId("no-curve").hidden = Boolean(enough);
  chosen.drawnMs = Date.now();
  if (!enough) return;
  drawSpark(byId("curve"), told, chosen.span === "all" ? overviewNow()?.starting_cash : null);
  const change = told.equity.at(-1) / told.equity[0] - 1;
  byId("curve").setAttribute("aria-label", `Equity from ${money(told.equity[0])} to ${money(told.equity.at(-1))}, ${percent(change, 2, true)}`);
}

/** Ask for the newest round trips, and list them. */
async function trades() {
  const told = await ask("/api/trades", { limit: 15 });
  list("trades", told.trades, (one) => `${one.symbol}@${one.entry_at_ms}@${one.exit_at_ms}`, tradeCells);
}

/** Put the tables up, and listen to the buttons. */
function furnish() {
  byId("positions-here").append(table("Positions", [["Symbol", "w"], ["Side", "w"], ["Quantity"], ["Entry"], ["Mark"], ["Open profit"], ["Stop"], ["Target"], ["Notional", "opt"], ["Since (UTC)", "opt"]], "positions"));
  byId("orders-here").append(table("Open orders", [["Symbol", "w"], ["For", "w"], ["Order", "w"], ["Quantity"], ["Stop price"], ["State", "w"], ["Id", "w opt"]], "orders"));
  byId("symbols-here").append(table("Symbols", [["Symbol", "w"], ["Candles", "w"], ["Age"], ["Close"], ["24 h"], ["Forecast"], ["P(up)", "opt"], ["Signal", "w"], ["Why not", "w opt"]], "symbols"));
  byId("trades-here").append(table("Round trips", [["Left (UTC)", "w"], ["Symbol", "w"], ["Side", "w"], ["Entry"], ["Exit"], ["Fees", "opt"], ["Net"], ["Why", "w"], ["Held", "opt"]], "trades"));
  for (const button of document.querySelectorAll("[data-span]")) {
    button.addEventListener("click", () => {
      chosen.span = button.dataset.span;
      document.querySelectorAll("[data-span]").forEach((one) => one.setAttribute("aria-pressed", String(one === button)));
      curve().catch(complain);
    });
  }
  addEventListener("resize", () => chosen.curve && draw());
  walkable(() => [...byId("symbols").rows], (row) => row.querySelector("a").click());
}

furnish();
startPage({ overview, redraw: draw, load: async () => { await Promise.all([curve(), trades()]); } });
