// Small parts that pages are made of: tables of words, and facts of whatever was told, by their names.
import { el, facts, table } from "./dom.js";
import { bps, bytes, duration, known, longTime, milliseconds, number, plain, words } from "./format.js";

/**
 * A table whose rows are words.
 * @param {string} name What it lists.
 * @param {Array<[string, string?]>} heads Column names and classes.
 * @param {Array<Array<[string, string?]>>} lines Words and classes of the cells.
 * @returns {HTMLElement} A table in its frame.
 */
export function listed(name, heads, lines) {
  const made = table(name, heads);
  made.querySelector("tbody").append(...lines.map((cells) => el("tr", {}, ...cells.map(([text, kind], at) => el("td", { text, class: kind, data: { label: heads[at][0] } })))));
  return made;
}

/** Endings of names that say the unit, and how such a value is written. */
const UNITS = [
  [/_at_ms$|^(?:from|until|since|created|due|next_retrain)_ms$/, longTime], [/_ms$/, milliseconds], [/_bytes$/, bytes], [/_seconds$/, duration],
  [/_minutes$/, (value) => `${number(value)} min`], [/_bps$/, (value) => `${figureWords(value)} bps`], [/_millinats$/, (value) => `${figureWords(value)} millinats`],
];

/**
 * A figure with as many decimals as its size calls for.
 * @param {number} value The figure.
 * @returns {string} Words.
 */
export function figureWords(value) {
  if (!known(value) || Number.isInteger(value)) return number(value);
  const size = Math.abs(value);
  return number(value, size >= 100 ? 1 : size >= 0.01 ? 4 : 7);
}

/**
 * A name as words, without the unit that its value is written with.
 * @param {string} name Such as "memory_bytes".
 * @returns {string} Such as "memory".
 */
export const label = (name) => words(name.replace(/_(?:at_ms|ms|bytes|seconds|minutes|bps|millinats)$/, ""));

/**
 * A value in words, by its name.
 * @param {string} name Its name.
 * @param {any} value The value.
 * @returns {string} Words.
 */
export function spelled(name, value) {
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (Array.isArray(value)) return value.map((one) => spelled(name, one)).join(value.length === 2 && value.every(known) ? " … " : ", ");
  if (!known(value)) return plain(value);
  const unit = UNITS.find(([ending]) => ending.test(name));
  if (unit) return unit[1](value);
  return /threshold|cost|_return$/.test(name) ? bps(value, false) : figureWords(value);
}

/**
 * Facts of an object; what is nested is named after both, and an interval stands behind its figure.
 * @param {Object<string, any>} told Names and values.
 * @returns {HTMLElement} A list of facts.
 */
export function factsOf(told) {
  return facts(pairs(told, ""));
}

/**
 * Names and values, flat.
 * @param {Object<string, any>} told Names and values.
 * @param {string} above The name of what holds them.
 * @returns {Array<[string, string]>} Ready to be shown.
 */
function pairs(told, above) {
  return Object.entries(told).flatMap(([name, value]) => {
    if (value && typeof value === "object" && !Array.isArray(value)) return pairs(value, name === "figures" ? "" : name);
    if (value === null || value === undefined) return [];
    const asTime = above === "ranges" && Array.isArray(value);
    return [[above ? `${words(above)}: ${label(name)}` : label(name), asTime ? value.map(longTime).join(" to ") : spelled(name, value)]];
  });
}
