// The stream of decisions, with one of them explained beside it.
import { ask } from "./api.js";
import { complain, shown, startPage } from "./app.js";
import { badge, byId, el, put, rows, say, table } from "./dom.js";
import { explain, redrawExplained } from "./explain.js";
import { NONE, bps, known, legWords, localTime, percent, price, shortTime, tone, words } from "./format.js";
import { onKey, walkable } from "./keys.js";
import { Stream } from "./stream.js";

const KINDS = [["all", "all"], ["acted", "acted"], ["refused", "refused"], ["held", "held back"]];
const PAGE = 100;
const view = { symbol: "", kind: "all", words: "", before: null, open: null, back: null };

const stream = new Stream({ most: 400, keyOf: (one) => one.decision_id, show: showList, noun: "decisions" });

/** Which kind a decision is of. @param {Object} one Of /api/decisions. @returns {string} A kind. */
const kindOf = (one) => (one.refused?.length ? "refused" : one.approved?.length ? "acted" : "held");

/** Whether a decision is asked for. @param {Object} one Of the stream. @returns {boolean} By symbol and kind. */
const wanted = (one) => (!view.symbol || one.symbol === view.symbol) &&
  (view.kind === "all" || (view.kind === "acted" ? one.approved?.length > 0 : view.kind === "refused" ? one.refused?.length > 0 : kindOf(one) === "held"));

/** What the strategy wants. @param {?Object} signal Of a decision. @returns {string} Words. */
const signalWords = (signal) => (signal ? [words(signal.direction), signal.reason ? `(${words(signal.reason)})` : ""].join(" ").trim() : NONE);

/** What came of it. @param {Object} one A decision. @returns {string} Words. */
function outcome(one) {
  const sent = (one.approved ?? []).map((each) => `${each.side} ${price(each.quantity)} ${legWords(each.leg ?? each.type)}`);
  const turned = (one.refused ?? []).map((each) => `${each.side} ${price(each.quantity)}: ${words(each.reason)}`);
  return [...sent, ...turned, one.hold_reason && !turned.length ? words(one.hold_reason) : ""].filter(Boolean).join("; ") || NONE;
}

/** The label of a kind. @param {Object} one A decision. @returns {HTMLElement} A badge. */
const kindBadge = (one) => ({ acted: () => badge("acted", "ok"), refused: () => badge("refused", "warn"), held: () => badge("held") })[kindOf(one)]();

/** Cells of a decision. @param {Object} one Of the stream. @returns {Array<Object>} Cells. */
const cells = (one) => [
  { value: el("a", { href: `/decisions?id=${encodeURIComponent(one.decision_id)}`, text: shortTime(one.closed_at_ms) }), class: "w", title: localTime(one.closed_at_ms) },
  { value: one.symbol, class: "w" },
  { value: bps(one.expected_return), class: tone(one.expected_return) },
  { value: percent(one.probability_up, 1), class: "opt" },
  { value: kindBadge(one), class: "w" },
  { value: outcome(one), class: "w wrap" },
  { value: signalWords(one.signal), class: "w opt" },
];

/** Show the stream. @param {Array<Object>} items Newest first. */
function showList(items) {
  const needle = view.words.toLowerCase();
  const shown = needle ? items.filter((one) => `${one.symbol} ${outcome(one)} ${signalWords(one.signal)} ${(one.approved ?? []).map((each) => each.client_order_id).join(" ")}`.toLowerCase().includes(needle)) : items;
  const body = byId("decisions");
  rows(body, shown, (one) => one.decision_id, cells, (row, one) => {
    row.className = "choice";
    row.setAttribute("aria-selected", String(one.decision_id === view.open));
  });
  body.closest(".scroll").hidden = !shown.length;
  byId("nothing").hidden = shown.length > 0;
  say(byId("nothing"), items.length ? "No decision passes the filter." : "No such decision was made yet.");
  say(byId("count"), `${shown.length} shown${shown.length === items.length ? "" : ` of ${items.length}`}`);
}

/** Ask for a page of the stream. @param {?number} before Older than this. @returns {Promise<Array<Object>>} Newest first. */
async function fetchPage(before) {
  const told = await ask("/api/decisions", { symbol: view.symbol, kind: view.kind, before_ms: before, limit: PAGE });
  view.before = told.next_before_ms;
  byId("older").hidden = !known(view.before);
  return told.decisions;
}

/** Begin the stream anew. */
async function begin() {
  stream.begin(await fetchPage(null));
}

/** Explain a decision. @param {?string} id Which; null closes the explanation. @param {boolean} note Whether the way back leads here. */
async function open(id, note = true) {
  const place = byId("detail");
  view.open = id;
  place.hidden = id === null;
  byId("split").dataset.open = String(id !== null);
  for (const row of byId("decisions").rows) row.setAttribute("aria-selected", String(row.dataset.key === id));
  if (note) history.pushState(null, "", id === null ? "/decisions" : `/decisions?id=${encodeURIComponent(id)}`);
  if (id === null) {
    view.back?.focus({ preventScroll: true });
    return;
  }
  put(place, el("p", { class: "nothing", text: "asking …" }));
  if (getComputedStyle(byId("list-here").closest("section")).display === "none") window.scrollTo({ top: 0 });
  place.scrollTop = 0;
  place.focus({ preventScroll: true });
  try {
    const told = await ask(`/api/decision/${encodeURIComponent(id)}`);
    if (view.open === id) await explain(place, told, () => open(null), open);
  } catch (error) {
    if (view.open === id) put(place, closer(), el("h2", { id: "detail-title", text: "It can't be explained" }), el("p", { text: error.message }));
    if (!error.status && error.name !== "ApiError") throw error;
  }
}

/** The button that closes an explanation. @returns {HTMLElement} It. */
const closer = () => el("button", { type: "button", text: "Close", onclick: () => open(null) });

/** What the address asks for. */
const addressed = () => new URLSearchParams(location.search).get("id");

/** Choose a kind. @param {string} kind Which. */
function choose(kind) {
  view.kind = kind;
  for (const button of byId("kinds").children) button.setAttribute("aria-pressed", String(button.dataset.kind === kind));
  begin().catch(complain);
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

/** Put the tools up. */
function furnish() {
  byId("list-here").append(table("Decisions", [["Minute (UTC)", "w"], ["Symbol", "w"], ["Forecast"], ["P(up)", "opt"], ["", "w"], ["Outcome", "w"], ["Signal", "w opt"]], "decisions"));
  put(byId("kinds"), ...KINDS.map(([kind, name]) => el("button", { type: "button", text: name, data: { kind }, "aria-pressed": String(kind === view.kind), onclick: () => choose(kind) })));
  byId("symbol").addEventListener("change", (event) => { view.symbol = event.target.value; begin().catch(complain); });
  byId("filter").addEventListener("input", (event) => { view.words = event.target.value; showList(stream.items); });
  byId("older").addEventListener("click", async () => stream.older(await fetchPage(view.before).catch((error) => { complain(error); return []; })));
  byId("decisions").addEventListener("click", (event) => {
    const row = event.target.closest("tr");
    if (!row || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    view.back = row.querySelector("a");
    open(row.dataset.key);
  });
  addEventListener("popstate", () => open(addressed(), false));
  walkable(() => [...byId("decisions").rows], (row) => row.querySelector("a").click());
  onKey("Escape", "close the explanation", () => view.open && open(null));
}

furnish();
startPage({
  overview, redraw: redrawExplained,
  decision: (one) => wanted(one) && stream.add(one),
  load: async () => {
    await begin();
    shown();
    if (addressed() && view.open === null) await open(addressed(), false);
  },
});
