// What kind of market, money and model this is, and what is wrong: in words, large, on every page.
import { el, put, say } from "./dom.js";
import { clockTime, duration, known, longTime, words } from "./format.js";

/**
 * @typedef {Object} Sign
 * @property {string} word In large letters.
 * @property {string} small The line below.
 * @property {string} tone Its class: "sim", "paper", "unproven", "alarm" or "".
 */

/** What the states of the account mean, where they are not plain trading. */
const STATES = {
  warming_up: ["WARMING UP", "no new positions yet", ""],
  reducing: ["REDUCING", "only exits, no new positions", "alarm"],
  halted: ["HALTED", "no new positions until a person resumes", "alarm"],
};

/**
 * The signs of a state of the bot.
 * @param {?Object} now /api/overview; null before it came.
 * @returns {Array<Sign>} From the left.
 */
export function signs(now) {
  if (!now) return [{ word: "ASKING THE BOT …", small: "what it trades, and with what money", tone: "" }];
  return [...ailments(now), market(now), money(now), model(now)].filter(Boolean);
}

/** What is wrong with the run. @param {Object} now The overview. @returns {Array<Sign>} Alarms. */
function ailments(now) {
  const found = [];
  if (now.ended) {
    const last = known(now.last_closed_at_ms) ? `last minute ${longTime(now.last_closed_at_ms)}` : "no minute was decided";
    found.push({ word: "ENDED", small: `the bot is not running; ${last}`, tone: "alarm" });
  }
  const state = String(now.state ?? "");
  if (state === "" || state === "trading") return found;
  const [word, means, tone] = STATES[state] ?? [words(state).toUpperCase(), "", "alarm"];
  found.push({ word, small: [now.state_reason ? words(now.state_reason) : "", means].filter(Boolean).join("; "), tone });
  return found;
}

/** Which market. @param {Object} now The overview. @returns {?Sign} None where it is a real one. */
function market(now) {
  return now.simulated ? { word: "SIMULATED MARKET", small: "no price here is real", tone: "sim" } : null;
}

/** Which money. @param {Object} now The overview. @returns {Sign} Paper or live. */
function money(now) {
  if (now.mode !== "live") {
    return { word: String(now.mode ?? "paper").toUpperCase(), small: "orders are filled on paper, no money moves", tone: "paper" };
  }
  return now.simulated
    ? { word: "LIVE ORDERS", small: "sent to the simulated exchange", tone: "paper" }
    : { word: "LIVE", small: "real money", tone: "alarm" };
}

/** Whether the model has been proven. @param {Object} now The overview. @returns {?Sign} None where it has. */
function model(now) {
  return now.unproven ? { word: "MODEL UNPROVEN", small: "the gate has not promoted it: expect losses", tone: "unproven" } : null;
}

/**
 * Show the signs, unless they are shown already.
 * @param {HTMLElement} place Where.
 * @param {?Object} now The overview.
 */
export function showBanner(place, now) {
  const shown = signs(now);
  const key = JSON.stringify(shown);
  if (place.dataset.key === key) return;
  place.dataset.key = key;
  put(place, ...shown.map((sign) => el("p", { class: sign.tone }, sign.word, el("small", { text: sign.small }))));
}

/**
 * The symbols that have not been heard of, in words.
 * @param {?Object} now The overview.
 * @returns {string} A sentence; empty where all is well.
 */
export function silence(now) {
  if (!now || now.ended) return "";
  const mute = (now.symbols ?? []).filter((one) => one.state === "silent");
  if (!mute.length) return "";
  const shown = mute.slice(0, 4).map((one) => `${one.symbol} (${duration(one.age_seconds)})`).join(", ");
  const rest = mute.length > 4 ? ` and ${mute.length - 4} more` : "";
  return `Silent: ${shown}${rest}. No candle came; nothing is decided for ${mute.length > 1 ? "them" : "it"}.`;
}

/**
 * Show the lines that are loud: a lost line, a silent symbol.
 * @param {HTMLElement} place Where.
 * @param {{state: string, since: number}} line The stream.
 * @param {?Object} now The overview.
 */
export function showLoud(place, line, now) {
  const lost = line.state === "lost"
    ? `Connection lost since ${clockTime(line.since)}: what you see is old. Trying again …` : "";
  for (const [name, sentence] of [["lost", lost], ["silent", silence(now)]]) {
    const at = place.querySelector(`[data-name="${name}"]`);
    at.hidden = !sentence;
    say(at, sentence);
  }
}

/**
 * Tell the age of the last minute beside the pulse.
 * @param {HTMLElement} place The pulse.
 * @param {{state: string, since: number}} line The stream.
 * @param {?Object} now The overview.
 * @param {number} passed Seconds since it came.
 */
export function showPulse(place, line, now, passed) {
  place.dataset.state = now?.ended && line.state === "live" ? "ended" : line.state;
  const age = known(now?.age_seconds) ? now.age_seconds + (now.ended ? 0 : passed) : null;
  const said = {
    live: now?.ended ? "ended" : `live · ${age === null ? "no minute yet" : `last minute ${duration(Math.round(age))} ago`}`,
    lost: "connection lost",
    refused: "waiting for the bot",
    resting: "paused while hidden",
  };
  say(place, said[line.state] ?? "connecting …");
}
