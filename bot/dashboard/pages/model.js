// The model: what it is, what it is worth beside baselines, whether its world has changed, who stands beside it.
import { ask } from "./api.js";
import { complain, shown, startPage } from "./app.js";
import { clear, colour, draw } from "./charts.js";
import { badge, byId, el, facts, figure, put, rows, say, svg, table } from "./dom.js";
import { NONE, duration, known, localTime, longTime, number, percent, shortTime, words } from "./format.js";
import { factsOf, figureWords } from "./parts.js";

const EVERY_MS = 30000, SHOWN_COLUMNS = 14, PSI_SHIFTED = 0.25;
const LEVELS = { ok: ["none", "ok", ""], shrink: ["shrink", "warn", "entries are smaller"], freeze: ["FREEZE", "alarm", "no new positions"] };
const view = { told: null, overview: null };
/** What of `serving` has a place of its own. */
const PLACED = new Set(["model_id", "metrics", "calibration", "proven", "fault", "sentence", "verdict"]);

/** Show who serves. @param {Object} told /api/model. */
function showServing(told) {
  const serving = told.serving ?? {};
  const now = view.overview;
  const horizon = serving.horizon_minutes;
  say(byId("serving"), serving.model_id ?? "no model");
  const proven = serving.proven ?? now?.model?.proven;
  put(byId("figures"),
    figure("Standing", serving.model_id ? (proven ? "proven" : "UNPROVEN") : "no model", proven ? "the gate has promoted it" : "the gate has not promoted it", proven ? "lead good" : "lead bad"),
    figure("Recipe", serving.recipe ?? now?.model?.recipe ?? NONE, serving.features ? `features ${serving.features}` : ""),
    figure("Trained", known(serving.created_at_ms) ? shortTime(serving.created_at_ms) : NONE, now?.model ? `${duration(now.model.age_seconds)} old` : ""),
    figure("Looks ahead", known(horizon) ? `${horizon} min` : NONE, known(serving.window) ? `from ${serving.window} minutes` : ""),
    figure("Drift", (LEVELS[told.drift?.level] ?? [words(told.drift?.level)])[0], [LEVELS[told.drift?.level]?.[2], told.drift?.worst_feature ? `farthest: ${told.drift.worst_feature}` : ""].filter(Boolean).join("; ")));
  const remarks = [serving.fault, serving.sentence, ...watchWords(told.watch)].filter(Boolean);
  put(byId("remarks"), ...remarks.map((words_) => el("p", { class: serving.fault === words_ ? "bad" : "note", text: words_ })));
}

/** What the watch holds against the model. @param {?Object} watch Of /api/model. @returns {Array<string>} Sentences. */
function watchWords(watch) {
  const reasons = (watch?.reasons ?? []).map(words).join(", ");
  if (!reasons && !watch?.freeze && (watch?.size_factor ?? 1) >= 1) return [];
  return [`The watch: entries at ${percent(watch.size_factor ?? 1, 0)}${watch.freeze ? ", no new positions" : ""}${reasons ? ` (${reasons})` : ""}.`];
}

/** How a metric is written. @param {?number} value The value. @returns {string} Words. */
const metric = figureWords;

/** The value with its interval and the baseline, as a picture. @param {Object} row Of the metrics. @returns {SVGElement|string} It. */
function interval(row) {
  const ends = [row.low, row.high, row.value, row.baseline_value].filter(known);
  if (!known(row.value) || ends.length < 2) return "";
  const [low, high] = [Math.min(...ends), Math.max(...ends)];
  const at = (value) => 6 + ((value - low) / (high - low || 1)) * 128;
  const drawn = svg("svg", { width: 140, height: 18, role: "img", "aria-label": `value ${metric(row.value)}, interval ${metric(row.low)} to ${metric(row.high)}, baseline ${metric(row.baseline_value)}` });
  if (known(row.low) && known(row.high)) drawn.append(svg("line", { x1: at(row.low), x2: at(row.high), y1: 9, y2: 9, stroke: "var(--own)", "stroke-width": 3, opacity: ".45" }));
  if (known(row.baseline_value)) drawn.append(svg("line", { x1: at(row.baseline_value), x2: at(row.baseline_value), y1: 1, y2: 17, stroke: "var(--hold)", "stroke-width": 2 }));
  drawn.append(svg("circle", { cx: at(row.value), cy: 9, r: 4, fill: "var(--own)" }));
  drawn.dataset.sign = JSON.stringify(ends);
  return drawn;
}

/** Show the table of metrics. @param {Array<Object>} metrics Of /api/model. */
function showMetrics(metrics) {
  const place = byId("metrics");
  if (!metrics.length) {
    put(place, el("p", { class: "nothing", text: "The model comes without an evaluation." }));
    return;
  }
  if (!place.querySelector("table")) {
    put(place, table("Metrics beside baselines", [["Metric", "w"], ["Model"], ["95 % interval"], ["Baseline"], ["which", "w"], ["● model, | baseline", "w opt"]]));
  }
  rows(place.querySelector("tbody"), metrics, (row) => `${row.name}/${row.baseline}`, (row) => [
    { value: row.label ?? words(row.name), head: true, class: "w" }, { value: metric(row.value) },
    { value: known(row.low) ? `${metric(row.low)} … ${metric(row.high)}` : NONE }, { value: metric(row.baseline_value) },
    { value: words(row.baseline), class: "w" }, { value: interval(row), class: "w opt" },
  ]);
}

/** Draw the calibration. @param {Array<Object>} bins With predicted, observed and count. @returns {Promise<void>} When drawn. */
async function showCalibration(bins) {
  const usable = bins.filter((one) => known(one.predicted) && known(one.observed));
  const place = byId("calibration");
  place.hidden = !usable.length;
  byId("no-calibration").hidden = usable.length > 0;
  if (!usable.length) {
    clear(place);
    return;
  }
  const most = Math.max(...usable.map((one) => one.count ?? 1));
  const all = usable.flatMap((one) => [one.predicted, one.observed]);
  const edge = 0.03, range = [Math.max(0, Math.min(...all) - edge), Math.min(1, Math.max(...all) + edge)];
  const axis = (title) => ({ title: { text: title, standoff: 6 }, tickformat: ".0%", range });
  await draw(place, [
    { type: "scatter", mode: "lines", x: range, y: range, hoverinfo: "skip", line: { color: colour("quiet"), dash: "dot", width: 1 } },
    { type: "scatter", mode: "lines+markers", x: usable.map((one) => one.predicted), y: usable.map((one) => one.observed),
      line: { color: colour("own"), width: 1.2 }, marker: { color: colour("own"), size: usable.map((one) => 5 + 11 * Math.sqrt((one.count ?? 1) / most)) },
      text: usable.map((one) => `said ${percent(one.predicted, 1)}, rose ${percent(one.observed, 1)}<br>${number(one.count)} forecasts`), hovertemplate: "%{text}<extra></extra>" },
  ], { showlegend: false, xaxis: axis("forecast P(up)"), yaxis: axis("rose"), margin: { l: 52, r: 12, t: 8, b: 44 } });
}

/** A bar of drift. @param {number} value PSI. @param {number} most The largest shown. @returns {HTMLElement} It. */
function bar(value, most) {
  const fill = el("i");
  fill.style.width = `${Math.min(100, (value / most) * 100)}%`;
  return el("span", { class: `meter${value > PSI_SHIFTED ? " over" : ""}`, data: { sign: `${value}/${most}` } }, fill);
}

/** Show how far the features have drifted. @param {?Object} drift Of /api/model. */
function showDrift(drift) {
  const [word, colours] = LEVELS[drift?.level] ?? [words(drift?.level), ""];
  put(byId("drift-level"), drift?.level ? badge([word, LEVELS[drift.level]?.[2]].filter(Boolean).join(": "), colours) : null);
  const shifts = Object.entries(drift?.psi ?? {}).filter(([, value]) => known(value)).sort((one, other) => other[1] - one[1]);
  if (!shifts.length) {
    put(byId("drift"), el("p", { class: "nothing", text: "Not enough rows yet to tell." }));
    return;
  }
  const most = Math.max(shifts[0][1], PSI_SHIFTED);
  const shown = table("Drift by feature", [["Feature", "w"], ["PSI"], ["", "w"], ["", "w"]]);
  rows(shown.querySelector("tbody"), shifts.slice(0, SHOWN_COLUMNS), ([name]) => name, ([name, value]) => [
    { value: name, head: true, class: "w" }, { value: number(value, 3) }, { value: value > PSI_SHIFTED ? "shifted" : "", class: "w" }, { value: bar(value, most), class: "w meters" }]);
  const more = shifts.length > SHOWN_COLUMNS ? ` ${shifts.length - SHOWN_COLUMNS} features more have less.` : "";
  const change = known(drift.adwin_at_ms) ? ` The losses changed ${longTime(drift.adwin_at_ms)}.` : "";
  put(byId("drift"), shown, el("p", { class: "note", text: `Population stability index of the last day against training; above ${PSI_SHIFTED} a feature has shifted.${more}${change}` }));
}

/** One who stands there. @param {string} role Its role. @param {any} who An id, an object or null. @returns {Array} A pair. */
function stander(role, who) {
  if (!who || typeof who !== "object") return [role, who ? String(who) : "none"];
  const rest = Object.fromEntries(Object.entries(who).filter(([name]) => name !== "model_id"));
  return [role, el("div", {}, who.model_id ?? NONE, factsOf(rest))];
}

/** Facts of anything that was told. @param {?Object} told Names and values. @param {string} none What to say of nothing. @returns {HTMLElement} A list. */
const told = (told_, none) => (told_ && Object.keys(told_).length ? factsOf(told_) : el("p", { class: "nothing", text: none }));

/** What came of a retraining. @param {Object} one Of /api/model. @returns {HTMLElement} A badge. */
function outcome(one) {
  const word = words(one.verdict ?? one.outcome);
  const good = /promot|finish/i.test(word) && !/not|refus/i.test(word);
  return badge(word, /fail/i.test(`${one.outcome}`) ? "alarm" : good ? "ok" : "warn");
}

/** Show the retrainings and the registry. @param {Object} now /api/model. */
function showLists(now) {
  const trained = table("Retrainings", [["Began (UTC)", "w"], ["Took"], ["Outcome", "w"], ["Model", "w opt"], ["Why", "w"]]);
  rows(trained.querySelector("tbody"), now.retrainings ?? [], (one) => `${one.began_at_ms}/${one.model_id}/${one.outcome}`, (one) => [
    { value: shortTime(one.began_at_ms), class: "w", title: localTime(one.began_at_ms) },
    { value: known(one.ended_at_ms) ? duration((one.ended_at_ms - one.began_at_ms) / 1000) : NONE }, { value: outcome(one), class: "w" },
    { value: one.model_id ?? NONE, class: "w code opt" }, { value: [one.reasons ?? []].flat().join("; ") || NONE, class: "w wrap" }]);
  put(byId("retrainings"), now.retrainings?.length ? trained : el("p", { class: "nothing", text: "No model was trained anew yet." }));
  const stored = table("Registry", [["Model", "w"], ["Trained (UTC)", "w"], ["Recipe", "w opt"], ["Standing", "w"]]);
  rows(stored.querySelector("tbody"), now.registry ?? [], (one) => one.model_id, (one) => [
    { value: one.model_id, class: "w code", head: true }, { value: shortTime(one.created_at_ms), class: "w" }, { value: words(one.recipe), class: "w opt" },
    { value: el("span", {}, ...[...(one.aliases ?? [])].map((name) => badge(name, "ok")), " ", badge(one.proven ? "proven" : "unproven", one.proven ? "ok" : "warn")), class: "w" }]);
  put(byId("registry"), now.registry?.length ? stored : el("p", { class: "nothing", text: "The registry is empty." }));
}

/** Ask, and show. */
async function load() {
  const now = await ask("/api/model");
  view.told = now;
  showServing(now);
  showMetrics(now.serving?.metrics ?? []);
  showDrift(now.drift);
  put(byId("standing"), facts([stander("champion", now.champion), stander("challenger", now.challenger), ...(now.shadow ? [stander("beside it, in shadow", now.shadow)] : [])]));
  say(byId("next"), now.retraining ? "a retraining is at work" : known(now.next_retrain_ms) ? `next ${longTime(now.next_retrain_ms)}` : "");
  put(byId("live"), told(now.live, "No live forecast has come to its horizon yet."));
  showLists(now);
  const passport = Object.fromEntries(Object.entries(now.serving ?? {}).filter(([name]) => !PLACED.has(name)));
  put(byId("passport"), told(passport, "No model serves."));
  shown();
  await showCalibration(now.serving?.calibration ?? []);
}

startPage({
  load,
  overview: (now) => {
    const changed = view.overview && view.overview.model?.model_id !== now.model?.model_id;
    view.overview = now;
    if (changed) load().catch(complain);
    else if (view.told) showServing(view.told);
  },
  redraw: () => view.told && showCalibration(view.told.serving?.calibration ?? []).catch(complain),
});
setInterval(() => document.hidden || load().catch(complain), EVERY_MS);
