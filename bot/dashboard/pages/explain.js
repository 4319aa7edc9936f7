// One decision laid open: what went in, what was forecast, by what rules it was judged, what came of it.
import { ask } from "./api.js";
import { badge, byId, el, facts, figure, put } from "./dom.js";
import { drawHeat, drawInputs } from "./explain_charts.js";
import { factsOf, listed, spelled } from "./parts.js";
import { NONE, bps, duration, known, legWords, longTime, money, number, percent, price, shortTime, tone, words } from "./format.js";

const MINUTE = 60000, MOST_MINUTES = 1440;
const FIGURES = [["expected_return", "expected return"], ["probability_up", "P(up)"], ["uncertainty", "uncertainty"], ["volatility", "volatility"], ["raw", "model's output"]];
const shown = { told: null, path: null };

/** An order in words. @param {Object} one Of a decision. @returns {string} Words. */
const orderWords = (one) => `${one.side} ${price(one.quantity)} ${known(one.limit_price) ? `at ${price(one.limit_price)} or better` : "at market"} (${legWords(one.leg)})`;

/** What was decided. @param {Object} decision Of the explanation. @returns {Array<HTMLElement>} Lines. */
function verdictLines(decision) {
  const lines = [
    ...(decision.approved ?? []).map((one) => el("p", {}, badge("sent", "ok"), ` ${orderWords(one)} `, el("span", { class: "code quiet", text: one.client_order_id }))),
    ...(decision.refused ?? []).map((one) => el("p", {}, badge("refused by risk", "warn"), ` ${orderWords(one)}: ${words(one.reason)}`)),
    ...(decision.cancel ?? []).map((one) => el("p", {}, badge("called back"), ` ${one.client_order_id}: ${words(one.reason)}`)),
  ];
  return lines.length ? lines : [el("p", {}, badge("nothing sent"), ` ${words(decision.hold_reason)}`)];
}

/** The figures at the top. @param {Object} told The explanation. @returns {HTMLElement} A list of figures. */
function figures(told) {
  const said = told.prediction?.journaled;
  const rules = told.strategy ?? {};
  const after = told.after?.price ?? {};
  const right = { true: "✓ the direction was right", false: "✕ the direction was wrong" }[after.direction_right] ?? after.unknown_because ?? "";
  return el("dl", { class: "figures" },
    figure("Forecast", said ? bps(said.expected_return) : "none", said ? `P(up) ${percent(said.probability_up, 1)}, ${told.prediction.horizon_minutes} min ahead` : told.prediction?.remark ?? "", tone(said?.expected_return)),
    figure("An entry needs", bps(rules.needed_return, false), known(rules.sure_return) ? `forecast worth ${bps(rules.sure_return, false)} for sure` : ""),
    figure("Strategy wanted", rules.signal ? words(rules.signal.direction) : "not asked", rules.signal ? words(rules.signal.reason) : ""),
    figure("Risk", words(told.risk?.verdict), told.risk?.reason ? words(told.risk.reason) : ""),
    figure("The price did", bps(after.realized_return), right, tone(after.realized_return)));
}

/** The forecast, as journaled and as made again. @param {?Object} prediction Of the explanation. @returns {Array<Node>} Its part. */
function forecast(prediction) {
  if (!prediction) return [el("p", { class: "nothing", text: "No forecast was made." })];
  const value = (of, name) => (name === "raw" ? number(of?.[name], 6) : name === "probability_up" ? percent(of?.[name], 2) : bps(of?.[name], name === "expected_return"));
  const same = { true: "Made again it is the same to the last digit.", false: "Made again it DIFFERS." }[prediction.same];
  return [
    listed("Forecast", [["", "w"], ["Journaled"], ["Made again"]], FIGURES.map(([name, says]) => [[says, "w"], [value(prediction.journaled, name)], [value(prediction.recomputed, name)]])),
    el("p", { class: prediction.same === false ? "bad" : "note", text: [same, prediction.remark].filter(Boolean).join(" ") }),
  ];
}

/** The rules of the strategy. @param {?Object} rules Of the explanation. @returns {Array<Node>} Its part. */
function strategy(rules) {
  if (!rules) return [];
  const parameters = Object.entries(rules.parameters ?? {}).map(([name, value]) => [words(name), spelled(name, value)]);
  return [facts([
    ["name", rules.name], ["round trip costs", bps(rules.round_trip_cost, false)], ["an entry needs", bps(rules.needed_return, false)],
    ["doubt taken off", bps(rules.doubt, false)], ["worth for sure", bps(rules.sure_return, false)], ["RSI", rules.indicators ? number(rules.indicators.rsi, 1) : null],
    ["MACD histogram", rules.indicators ? number(rules.indicators.macd_histogram, 4) : null],
    ["signal", rules.signal ? `${words(rules.signal.direction)}, strength ${number(rules.signal.strength, 2)} (${words(rules.signal.reason)})` : "it was not asked"],
    ["not known", rules.unknown_because]]),
  parameters.length ? el("details", {}, el("summary", { text: `All ${parameters.length} parameters` }), facts(parameters)) : null];
}

/** What risk said. @param {?Object} risk Of the explanation. @param {?Object} sizing Likewise. @returns {Array<Node>} Its part. */
function verdict(risk, sizing) {
  const bounds = (sizing?.bounds ?? []).map((one) => [[words(one.limit), "w"], [money(one.notional)]]);
  return [facts([
    ["verdict", `${words(risk?.verdict)}${risk?.reason ? `: ${words(risk.reason)}` : ""}`],
    ["entries at", known(risk?.size_factor) && risk.size_factor !== 1 ? `${percent(risk.size_factor, 0)} (${words(risk.size_reason)})` : null],
    ["spread", known(risk?.spread_bps) ? `${number(risk.spread_bps, 2)} bps` : null], ["funding rate", known(risk?.funding_rate) ? percent(risk.funding_rate, 4) : null],
    ["size", sizing ? `${price(sizing.quantity)} = ${money(sizing.notional)}${sizing.equity ? `, ${percent(sizing.notional / sizing.equity, 1)} of equity` : ""}` : null],
    ["wished for", known(sizing?.wanted_notional) ? `${money(sizing.wanted_notional)} before limits and lot step` : null]]),
  bounds.length ? listed("Limits of the size", [["Limit", "w"], ["Notional"]], bounds) : null,
  risk?.limits ? el("details", {}, el("summary", { text: "Limits in force" }), factsOf(risk.limits)) : null];
}

/** What came of it. @param {?Object} after Of the explanation. @param {function(string): void} go Explains another decision. @returns {Array<Node>} Its part. */
function afterwards(after, go) {
  if (!after) return [];
  const { trade, price: moved = {} } = after;
  const decision = (id) => (id ? el("a", { href: `/decisions?id=${encodeURIComponent(id)}`, text: id, onclick: (event) => { event.preventDefault(); go(id); } }) : null);
  return [facts([
    ["held before", price(after.held_before)],
    ["the price did", known(moved.realized_return) ? `${bps(moved.realized_return)} in ${moved.horizon_minutes} min, between ${bps(moved.lowest)} and ${bps(moved.highest)}` : moved.unknown_because],
    ["round trip", trade ? `${after.trade_role ?? ""} ${trade.direction}: ${price(trade.entry_price)} → ${price(trade.exit_price)}, held ${duration((trade.exit_at_ms - trade.entry_at_ms) / 1000)}` : after.trade_role ? "it is not over" : "none"],
    ["net", trade ? `${money(trade.pnl, true)} (fees ${money(trade.fees)}, funding ${money(trade.funding)}), ended by ${words(trade.exit_reason)}` : null],
    ["opened by", decision(trade?.opened_by)], ["closed by", decision(trade?.closed_by)]]),
  after.orders?.length ? listed("Orders", [["Order", "w"], ["For", "w"], ["Side", "w"], ["Quantity"], ["Stop price"], ["State", "w"]],
    after.orders.map((one) => [[one.client_order_id, "w code"], [legWords(one.leg), "w"], [one.side, "w"], [price(one.quantity)], [price(one.stop_price)], [words(one.state), "w"]])) : null,
  after.fills?.length ? listed("Executions", [["Filled (UTC)", "w"], ["Side", "w"], ["Quantity"], ["Price"], ["Fee"]],
    after.fills.map((one) => [[shortTime(one.filled_at_ms), "w"], [one.side, "w"], [price(one.quantity)], [price(one.price)], [money(one.fee)]])) : null];
}

/** The model's passport. @param {?Object} model Of the explanation. @returns {Array<Node>} Its part. */
function passport(model) {
  if (!model) return [];
  const standing = model.proven === null || model.proven === undefined ? "not judged" : model.proven ? "proven" : "UNPROVEN";
  return [facts([["model", model.model_id ?? "none"], ["standing", model.passport ? standing : null], ["missing", model.missing_because]]),
    model.passport ? el("details", {}, el("summary", { text: "Passport" }), factsOf(model.passport)) : null];
}

/** The values of the window's last row. @param {Object} window Of the explanation. @returns {HTMLElement} A table to be opened. */
function newest(window) {
  const at = window.normalized.length - 1;
  return el("details", {}, el("summary", { text: "The newest row in numbers" }), listed("Newest row", [["Feature", "w"], ["Value"], ["Normalized"], ["", "w"]],
    window.columns.map((name, place) => [[name, "w"], [number(window.features[at]?.[place], 6)], [number(window.normalized[at]?.[place], 3)], [window.outside?.[at]?.[place] ? "beyond training" : "", "w"]])));
}

/** A part of the explanation. @param {string} title Its title. @param {...?Node} parts What it holds. @returns {HTMLElement} It. */
const part = (title, ...parts) => el("div", {}, el("h3", { text: title }), ...parts.filter(Boolean));

/** A chart's box. @param {string} id Its id. @param {string} size Its class. @param {string} label For those who hear it. @returns {HTMLElement} It. */
const box = (id, size, label) => el("div", { class: `chart ${size}`, id, role: "img", "aria-label": label }, el("p", { class: "wait", text: "drawing …" }));

/**
 * Show an explanation.
 * @param {HTMLElement} place Where.
 * @param {Object} told /api/decision/ID.
 * @param {function(): void} close Closes it.
 * @param {function(string): void} go Explains another one.
 * @returns {Promise<void>} Done when its charts are drawn.
 */
export async function explain(place, told, close, go) {
  const { window, candles } = told;
  put(place,
    el("header", {}, el("h2", { id: "detail-title", text: `${told.symbol}, ${longTime(told.closed_at_ms)}` }),
      el("button", { type: "button", text: "Close", title: "Esc", onclick: close })),
    el("p", { class: "note code", text: told.decision_id }), ...verdictLines(told.decision), figures(told),
    part(`What went in: ${candles?.rows?.length ?? 0} candles`, box("inputs", "mid", "The candles that went in, and what came after"),
      el("p", { class: "note", text: candles?.complete === false ? `Only ${candles.rows.length} of ${candles.minutes} minutes were there.` : "Shaded: what the model saw. Line: the close decided on. Dotted: the forecast." })),
    window ? part("The window as the model sees it", box("heat", "mid", `Normalized window of ${window.columns.length} features`),
      el("p", { class: "note", text: `Standard deviations from the mean of training; ${window.outside_count} of its values lie beyond what was seen there, ${window.outside_most} may.` }), newest(window)) : null,
    el("div", { class: "columns" }, part("Forecast", ...forecast(told.prediction)), part("Strategy", ...strategy(told.strategy))),
    el("div", { class: "columns" }, part("Risk", ...verdict(told.risk, told.sizing)), part("Model", ...passport(told.model))),
    part("What happened after", ...afterwards(told.after, go)),
    el("p", { class: "note", text: `Decided ${number((told.decided_at_ms - told.closed_at_ms) / 1000, 2)} s after the close on the exchange's clock, ${told.mode ?? NONE}, run ${told.run_id ?? NONE}.` }));
  shown.told = told;
  shown.path = await pathOf(told);
  await redrawExplained();
}

/** The candles from the window to what came after. @param {Object} told The explanation. @returns {Promise<Array<Object>>} Oldest first. */
async function pathOf(told) {
  const seen = told.candles?.rows ?? [];
  const over = told.after?.trade?.exit_at_ms ?? 0;
  const until = Math.max(told.after?.price?.due_at_ms ?? 0, over, told.closed_at_ms) + 10 * MINUTE;
  const first = seen[0]?.opened_at_ms ?? told.closed_at_ms - 60 * MINUTE;
  const minutes = Math.min(MOST_MINUTES, Math.ceil((until - first) / MINUTE));
  const later = await ask("/api/candles", { symbol: told.symbol, minutes, until_ms: until });
  return [...seen, ...later.candles.filter((one) => one.opened_at_ms >= told.closed_at_ms)];
}

/** Draw the charts of what is explained, in the theme of now. */
export async function redrawExplained() {
  const { told, path } = shown;
  if (!told || !path || !byId("inputs")) return;
  await drawInputs(byId("inputs"), told, path);
  if (told.window && byId("heat")) await drawHeat(byId("heat"), told);
}
