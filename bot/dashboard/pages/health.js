// Is it well: the checks, the process, its figures, the age of every symbol's candles.
import { ask } from "./api.js";
import { complain, startPage } from "./app.js";
import { badge, byId, el, figure, put, rows, say, table } from "./dom.js";
import { NONE, bytes, duration, known, longTime, milliseconds, words } from "./format.js";
import { factsOf } from "./parts.js";

const EVERY_MS = 10000;
const TONES = { fresh: "ok", late: "warn", silent: "alarm" };

/** Show the daemon. @param {Object} told /api/health. */
function showFigures(told) {
  const { daemon, figures } = told;
  const running = daemon?.running === true;
  put(byId("figures"),
    figure("Daemon", running ? "running" : "NOT RUNNING", running ? `process ${daemon.process_id}` : "start it with `bot run`", running ? "lead good" : "lead bad"),
    figure("Progress", progress(daemon), known(daemon?.since_decided_seconds) ? `last decision ${duration(daemon.since_decided_seconds)} ago` : "", daemon?.healthy ? "good" : "bad"),
    figure("Close to decision", milliseconds(figures?.close_to_decision_p50_ms), `p99 ${milliseconds(figures?.p99_ms ?? figures?.close_to_decision_p99_ms)}`),
    figure("Memory", bytes(figures?.memory_bytes), "of the daemon"),
    figure("Disk free", bytes(told.disk_free_bytes)),
    figure("Journal", bytes(told.journal_bytes), `log ${bytes(told.log_bytes)}`));
}

/** How far it gets on. @param {?Object} daemon Of /api/health. @returns {string} A word. */
const progress = (daemon) => (!daemon?.running ? NONE : daemon.stalled ? "STALLED" : daemon.ready === false ? "starting" : daemon.healthy === null ? "NO ANSWER" : daemon.healthy ? "healthy" : "NOT HEALTHY");

/** Show the checks, those that failed first. @param {Array<Object>} checks Of /api/health. */
function showChecks(checks) {
  const sorted = [...checks].sort((one, other) => Number(one.ok) - Number(other.ok));
  put(byId("checks"), ...sorted.map((one) => el("li", {},
    el("span", {}, one.ok ? badge("✓ well", "ok") : badge("✕ look here", "alarm")),
    el("span", { class: "name", text: words(one.name) }), el("span", { class: "says", text: one.sentence }))));
  byId("no-checks").hidden = checks.length > 0;
  const ill = checks.filter((one) => !one.ok).length;
  put(byId("verdict"), checks.length ? (ill ? badge(`${ill} of ${checks.length} failed`, "alarm") : badge(`all ${checks.length} well`, "ok")) : null);
}

/** Show what else is known. @param {Object} told /api/health. */
function showMore(told) {
  const measured = Object.entries(told.figures ?? {}).filter(([, value]) => known(value));
  put(byId("more"), factsOf({ journal_schema: told.schema, ...Object.fromEntries(measured) }),
    measured.length ? null : el("p", { class: "nothing", text: "The daemon tells no figures: it does not run, or has no control API." }));
}

/** Ask, and show. */
async function load() {
  const told = await ask("/api/health");
  showFigures(told);
  showChecks(told.checks ?? []);
  showMore(told);
}

/** Show the age of every symbol. @param {Object} now The overview. */
function overview(now) {
  const body = byId("symbols");
  const oldest = [...now.symbols].sort((one, other) => (other.age_seconds ?? 0) - (one.age_seconds ?? 0));
  rows(body, oldest, (one) => one.symbol, (one) => [
    { value: one.symbol, class: "w", head: true }, { value: badge(one.state === "silent" ? "SILENT" : words(one.state), TONES[one.state]), class: "w" },
    { value: duration(one.age_seconds) }, { value: longTime(one.last_closed_at_ms), class: "opt" },
  ]);
  body.closest(".scroll").hidden = !oldest.length;
  body.closest("section").querySelector(".nothing").hidden = oldest.length > 0;
  say(byId("run"), `run ${now.run_id ?? NONE} · version ${now.version ?? NONE} · last minute ${longTime(now.last_closed_at_ms)}`);
}

byId("symbols-here").append(table("Candle age", [["Symbol", "w"], ["Candles", "w"], ["Age"], ["Last close", "opt"]], "symbols"));
startPage({ overview, load });
setInterval(() => document.hidden || load().catch(complain), EVERY_MS);
