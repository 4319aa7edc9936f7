// Numbers and times as people read them: in the reader's locale, with the unit, and times in UTC that say so.

/** What stands where nothing is known. */
export const NONE = "–";

const SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR;
const shapes = new Map();

/**
 * A number format of the reader's locale, made once.
 * @param {number} least Fewest decimals.
 * @param {number} most Most decimals.
 * @param {boolean} signed Whether a plus is written.
 * @returns {Intl.NumberFormat} The format.
 */
function shape(least, most, signed) {
  const key = `${least}/${most}/${signed}`;
  if (!shapes.has(key)) {
    shapes.set(key, new Intl.NumberFormat(undefined, {
      minimumFractionDigits: least, maximumFractionDigits: most, signDisplay: signed ? "exceptZero" : "auto" }));
  }
  return shapes.get(key);
}

/**
 * Whether there is a number at all.
 * @param {any} value What came.
 * @returns {boolean} False for null, undefined and what is no finite number.
 */
export function known(value) {
  return typeof value === "number" && Number.isFinite(value);
}

/**
 * A plain number.
 * @param {?number} value The number.
 * @param {number} [places] Decimals.
 * @param {boolean} [signed] Whether a plus is written.
 * @returns {string} Words.
 */
export function number(value, places = 0, signed = false) {
  return known(value) ? shape(places, places, signed).format(value) : NONE;
}

/**
 * An amount of money in quote currency.
 * @param {?number} value The amount.
 * @param {boolean} [signed] Whether a plus is written.
 * @returns {string} Words, two decimals.
 */
export const money = (value, signed = false) => number(value, 2, signed);

/**
 * A fraction as percent.
 * @param {?number} value 0.01 is one percent.
 * @param {number} [places] Decimals.
 * @param {boolean} [signed] Whether a plus is written.
 * @returns {string} Words.
 */
export function percent(value, places = 2, signed = false) {
  return known(value) ? `${number(value * 100, places, signed)} %` : NONE;
}

/**
 * A fraction in basis points: hundredths of a percent.
 * @param {?number} value 0.0001 is one.
 * @param {boolean} [signed] Whether a plus is written.
 * @returns {string} Words.
 */
export function bps(value, signed = true) {
  return known(value) ? `${number(value * 10000, 1, signed)} bps` : NONE;
}

/**
 * A short time.
 * @param {?number} value Milliseconds.
 * @returns {string} Words.
 */
export const milliseconds = (value) => (known(value) ? `${number(value, Math.abs(value) < 10 ? 2 : 0)} ms` : NONE);

/**
 * A price or a quantity, with as many decimals as its size calls for.
 * @param {?number} value The price.
 * @returns {string} Words.
 */
export function price(value) {
  if (!known(value)) return NONE;
  const size = Math.abs(value);
  return (size >= 1000 ? shape(2, 2, false) : size >= 10 ? shape(2, 4, false) : shape(0, 8, false)).format(value);
}

const WHEN = { timeZone: "UTC", hourCycle: "h23", hour: "2-digit", minute: "2-digit" };
const clockShape = new Intl.DateTimeFormat(undefined, { ...WHEN, second: "2-digit" });
const shortShape = new Intl.DateTimeFormat(undefined, { ...WHEN, day: "2-digit", month: "short" });
const dayShape = new Intl.DateTimeFormat(undefined, { timeZone: "UTC", day: "2-digit", month: "short" });
const longShape = new Intl.DateTimeFormat(undefined, { ...WHEN, second: "2-digit", day: "2-digit", month: "short", year: "numeric" });
const localShape = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });

/** Of a column whose head says UTC: day, month, hour and minute. @param {?number} at Milliseconds. @returns {string} Words. */
export const shortTime = (at) => (known(at) ? shortShape.format(at) : NONE);

/** The day alone, UTC. @param {?number} at Milliseconds. @returns {string} Words. */
export const day = (at) => (known(at) ? dayShape.format(at) : NONE);

/** Hour, minute and second, UTC. @param {?number} at Milliseconds. @returns {string} Words. */
export const clockTime = (at) => (known(at) ? `${clockShape.format(at)} UTC` : NONE);

/** A whole time, UTC. @param {?number} at Milliseconds. @returns {string} Words. */
export const longTime = (at) => (known(at) ? `${longShape.format(at)} UTC` : NONE);

/** The same moment on the reader's own clock, for titles. @param {?number} at Milliseconds. @returns {string} Words. */
export const localTime = (at) => (known(at) ? `${localShape.format(at)}, your time` : "");

/**
 * A time for plotly, which takes what has no zone as UTC.
 * @param {number} at Milliseconds.
 * @returns {string} Such as 2024-05-01T12:00:00.
 */
export const chartTime = (at) => new Date(at).toISOString().slice(0, 19);

/**
 * A stretch of time.
 * @param {?number} seconds Its length.
 * @returns {string} Its two largest units.
 */
export function duration(seconds) {
  if (!known(seconds)) return NONE;
  const span = Math.max(0, seconds) * SECOND;
  if (span < 10 * SECOND && seconds % 1) return `${number(seconds, 1)} s`;
  if (span < MINUTE) return `${Math.round(seconds)} s`;
  const [large, small, one, two] = span < HOUR ? [MINUTE, SECOND, "min", "s"] : span < DAY ? [HOUR, MINUTE, "h", "min"] : [DAY, HOUR, "d", "h"];
  const rest = Math.floor((span % large) / small);
  return `${number(Math.floor(span / large))} ${one}${rest ? ` ${rest} ${two}` : ""}`;
}

/**
 * A size in memory or on disk.
 * @param {?number} value Bytes.
 * @returns {string} Words.
 */
export function bytes(value) {
  if (!known(value)) return NONE;
  const step = value > 0 ? Math.min(4, Math.floor(Math.log(value) / Math.log(1024))) : 0;
  return `${number(value / 1024 ** step, step ? 1 : 0)} ${["B", "KiB", "MiB", "GiB", "TiB"][step]}`;
}

/**
 * A name of the program's as words: "risk_refused" is "risk refused".
 * @param {?string} name The name.
 * @returns {string} Words.
 */
export const words = (name) => (name ? String(name).replaceAll("_", " ") : NONE);

/**
 * Any value that the daemon may have told, in one line.
 * @param {any} value The value.
 * @returns {string} Words.
 */
export function plain(value) {
  if (value === null || value === undefined) return NONE;
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/**
 * The currency that a market is paid in: "USDT" of "BTC/USDT:USDT".
 * @param {?string} symbol The market.
 * @returns {string} Its name, or nothing.
 */
export const quoteOf = (symbol) => (symbol ?? "").split("/")[1]?.split(":")[0] ?? "";

/** How a number feels: "up", "down" or "". @param {?number} value The number. @returns {string} A class. */
export const tone = (value) => (known(value) && value !== 0 ? (value > 0 ? "up" : "down") : "");

const LEGS = { e: "entry", m: "entry at market", x: "exit", f: "flatten", s: "stop-loss", t: "take-profit" };

/**
 * What an order is for; the journal writes a letter.
 * @param {?string} leg The letter, or a word.
 * @returns {string} Words.
 */
export const legWords = (leg) => LEGS[leg] ?? words(leg);
