// The curve of equity with the drawdown below it, as a picture of our own: there before any chart library is.
import { put, svg } from "./dom.js";
import { money, percent, shortTime } from "./format.js";

const HEIGHT = 176, LOW = 40, GAP = 14, EDGE = 4, FOOT = 16;

/**
 * The points of a line in a box.
 * @param {Array<number>} times Along.
 * @param {Array<number>} values Up.
 * @param {{left: number, right: number, top: number, bottom: number}} box In pixels.
 * @param {[number, number]} range Of the values: bottom and top.
 * @returns {Array<[number, number]>} Pixels.
 */
export function points(times, values, box, range) {
  const span = Math.max(times.at(-1) - times[0], 1);
  const reach = Math.max(range[1] - range[0], 1e-12);
  return values.map((value, at) => [
    box.left + ((times[at] - times[0]) / span) * (box.right - box.left),
    box.bottom - ((value - range[0]) / reach) * (box.bottom - box.top),
  ]);
}

/** Points as the path of SVG. @param {Array<[number, number]>} line Pixels. @returns {string} The path. */
const path = (line) => line.map(([x, y], at) => `${at ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");

/**
 * Draw the curve.
 * @param {SVGElement} place An empty svg.
 * @param {{at_ms: Array<number>, equity: Array<number>, drawdown: Array<number>}} told /api/equity.
 * @param {?number} start Cash that it began with: a line across.
 */
export function drawSpark(place, told, start) {
  const width = Math.max(place.clientWidth, 200);
  place.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
  const floor = HEIGHT - FOOT;
  const box = { left: EDGE, right: width - EDGE, top: 16, bottom: floor - LOW - GAP };
  const under = { left: EDGE, right: width - EDGE, top: floor - LOW, bottom: floor };
  const all = start === null || start === undefined ? told.equity : [...told.equity, start];
  const range = [Math.min(...all), Math.max(...all)];
  const deepest = Math.max(...told.drawdown, 1e-6);
  const curve = points(told.at_ms, told.equity, box, range);
  const fall = points(told.at_ms, told.drawdown.map((one) => -one), under, [-deepest, 0]);
  const across = start === null || start === undefined ? null : points([0, 1], [start, start], box, range);
  put(place,
    across && svg("path", { d: path(across), fill: "none", stroke: "var(--quiet)", "stroke-dasharray": "3 4" }),
    svg("path", { d: `${path(curve)}L${box.right} ${box.bottom}L${box.left} ${box.bottom}Z`, fill: "var(--own)", opacity: ".12" }),
    svg("path", { d: path(curve), fill: "none", stroke: "var(--own)", "stroke-width": "1.8", "stroke-linejoin": "round" }),
    svg("path", { d: `${path(fall)}L${under.right} ${under.top}L${under.left} ${under.top}Z`, fill: "var(--hold)", opacity: ".35" }),
    ...labels(told, range, deepest, box, under), svg("g", { class: "cross" }));
  place.onpointermove = (event) => cross(place, told, curve, event.offsetX * (width / place.clientWidth));
  place.onpointerleave = () => put(place.querySelector(".cross"));
}

/** The words of the picture. @returns {Array<SVGElement>} Texts. */
function labels(told, range, deepest, box, under) {
  const text = (x, y, anchor, words) => svg("text", { x, y, "text-anchor": anchor, text: words });
  return [
    text(box.left, 11, "start", `highest ${money(Math.max(...told.equity))}`),
    text(box.right, 11, "end", `now ${money(told.equity.at(-1))}`),
    text(box.left, under.top - 3, "start", `lowest ${money(Math.min(...told.equity))}`),
    text(box.right, under.top - 3, "end", `deepest drawdown ${percent(deepest < 1e-5 ? 0 : deepest)}`),
    text(box.left, HEIGHT - 3, "start", shortTime(told.at_ms[0])),
    text(box.right, HEIGHT - 3, "end", `${shortTime(told.at_ms.at(-1))} UTC`),
  ];
}

/** Tell the point under the pointer. */
function cross(place, told, curve, x) {
  let at = 0;
  curve.forEach(([left], index) => { if (Math.abs(left - x) < Math.abs(curve[at][0] - x)) at = index; });
  const [left, top] = curve[at];
  const right = left > place.viewBox.baseVal.width / 2;
  const words = `${money(told.equity[at])} · ${percent(told.drawdown[at])} down · ${shortTime(told.at_ms[at])}`;
  put(place.querySelector(".cross"),
    svg("line", { x1: left, x2: left, y1: 14, y2: HEIGHT - FOOT, stroke: "var(--quiet)" }),
    svg("circle", { cx: left, cy: top, r: 3.5, fill: "var(--own)" }),
    svg("text", { x: left + (right ? -8 : 8), y: 26, "text-anchor": right ? "end" : "start", text: words,
      style: "fill: var(--text); font-weight: 600; paint-order: stroke; stroke: var(--card); stroke-width: 4px" }));
}
