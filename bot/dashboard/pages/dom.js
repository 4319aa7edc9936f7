// Elements made out of text. Nothing here, or anywhere on these pages, reads data as markup.

/**
 * Make an element.
 * @param {string} tag Name, such as "td".
 * @param {Object<string, any>} [traits] Attributes; `class`, `text` and `data` are spelled so, `on…` are listeners,
 *   null, undefined and false are left out.
 * @param {...(Node|string|number|null|undefined)} children Strings become text.
 * @returns {HTMLElement} The element.
 */
export function el(tag, traits = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(traits)) setTrait(made, name, value);
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/**
 * Set one trait of an element, as `el` spells them.
 * @param {Element} element The element.
 * @param {string} name Of the trait.
 * @param {any} value Its value.
 */
function setTrait(element, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (name === "text") element.textContent = String(value);
  else if (name === "data") Object.assign(element.dataset, value);
  else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
  else element.setAttribute(name, value === true ? "" : String(value));
}

/**
 * Make an SVG element.
 * @param {string} tag Name, such as "path".
 * @param {Object<string, any>} [traits] As for `el`.
 * @param {...Node} children Inside it.
 * @returns {SVGElement} The element.
 */
export function svg(tag, traits = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(traits)) setTrait(made, name, value);
  made.append(...children);
  return made;
}

/**
 * The element with an id that the page is known to have.
 * @param {string} id Its id.
 * @returns {HTMLElement} The element.
 */
export function byId(id) {
  return document.getElementById(id);
}

/**
 * Replace what an element holds.
 * @param {Element} place The element.
 * @param {...(Node|string|null|undefined)} children What it holds from now on.
 */
export function put(place, ...children) {
  place.replaceChildren(...children.filter((child) => child !== null && child !== undefined));
}

/**
 * Say something in an element, and leave it alone where it says so already (screen readers tell changes).
 * @param {Element} place The element.
 * @param {string} words The text.
 */
export function say(place, words) {
  if (place.textContent !== words) place.textContent = words;
}

/**
 * A cell of a table.
 * @typedef {Object} Cell
 * @property {string|number|Node} value What it shows.
 * @property {string} [class] "w" for words, "wrap" for long ones, "opt" where a phone can do without it.
 * @property {boolean} [head] Whether it names the row.
 * @property {string} [title] What a pointer tells.
 */

/**
 * Bring the rows of a table up to date; rows whose words did not change are left as they are, focus stays.
 * @param {HTMLTableSectionElement} body The table's body.
 * @param {Array<T>} items One per row, in order.
 * @param {function(T): string} keyOf What tells two rows apart.
 * @param {function(T): Array<Cell>} cellsOf The cells of a row.
 * @param {function(HTMLTableRowElement, T): void} [dress] Sets what a row has beside its cells.
 * @template T
 */
export function rows(body, items, keyOf, cellsOf, dress = () => {}) {
  const known = new Map([...body.rows].map((row) => [row.dataset.key, row]));
  const heads = [...body.closest("table").tHead.rows[0].cells].map((head) => head.textContent);
  const wanted = items.map((item) => {
    const row = known.get(keyOf(item)) ?? el("tr", { data: { key: keyOf(item) } });
    fill(row, cellsOf(item), heads);
    dress(row, item);
    return row;
  });
  const same = wanted.length === body.rows.length && wanted.every((row, at) => body.rows[at] === row);
  if (same) return;
  const held = body.contains(document.activeElement) ? document.activeElement : null;
  body.replaceChildren(...wanted);
  if (held && held.isConnected) held.focus({ preventScroll: true });
}

/**
 * Fill a row with cells, unless it shows them already.
 * @param {HTMLTableRowElement} row The row.
 * @param {Array<Cell>} cells What it should show.
 * @param {Array<string>} heads Names of the columns: a phone shows them beside the values.
 */
function fill(row, cells, heads) {
  const words = cells.map(({ value }) => (value instanceof Node ? value.textContent + (value.dataset?.sign ?? "") : String(value)));
  const sign = JSON.stringify(words.map((word, at) => [word, cells[at].class ?? ""]));
  if (row.dataset.sign === sign) return;
  const focused = row.contains(document.activeElement);
  row.replaceChildren(...cells.map((cell, at) =>
    el(cell.head ? "th" : "td", { class: cell.class, title: cell.title, scope: cell.head ? "row" : null, data: { label: heads[at] } }, cell.value)));
  row.dataset.sign = sign;
  if (focused) row.querySelector("a, button")?.focus({ preventScroll: true });
}

/** Tables with more columns are stacked on a phone: the row is a small card. */
const WIDE = 4;

/**
 * A table with its head, in a frame that scrolls by itself and can be reached by keys.
 * @param {string} name What it lists, for those who hear the page.
 * @param {Array<[string, string?]>} heads Column names and classes.
 * @param {string} [id] Of the body.
 * @returns {HTMLElement} The frame; its body is `frame.querySelector("tbody")`.
 */
export function table(name, heads, id) {
  const head = el("tr", {}, ...heads.map(([words, kind]) => el("th", { class: kind, scope: "col", text: words })));
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": name },
    el("table", { class: heads.length > WIDE ? "stack" : null }, el("caption", { class: "unseen", text: name }), el("thead", {}, head), el("tbody", { id })));
}

/**
 * Pairs of name and value.
 * @param {Array<[string, string|Node|null|undefined]>} pairs In order; those without a value are left out.
 * @returns {HTMLElement} A list of facts.
 */
export function facts(pairs) {
  const kept = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return el("dl", { class: "facts" }, ...kept.flatMap(([name, value]) => [el("dt", { text: name }), el("dd", {}, value)]));
}

/**
 * One figure: its name, its value and a line below.
 * @param {string} name What it is.
 * @param {string} value Ready to be read.
 * @param {string} [under] What it means.
 * @param {string} [tone] "good", "bad" or "lead".
 * @returns {HTMLElement} A block of a list of figures.
 */
export function figure(name, value, under = "", tone = "") {
  return el("div", {}, el("dt", { text: name }),
    el("dd", { class: `value ${tone}`.trim(), text: value }), under ? el("dd", { class: "under", text: under }) : null);
}

/**
 * A small label; its word says what its colour says.
 * @param {string} word The word.
 * @param {"ok"|"warn"|"alarm"|""} [tone] Its colour.
 * @param {string} [title] More of it.
 * @returns {HTMLElement} The label.
 */
export function badge(word, tone = "", title = null) {
  return el("span", { class: `badge ${tone}`.trim(), text: word, title });
}
