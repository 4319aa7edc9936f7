// The two pictures of an explanation: the candles around it, and the window as the model sees it.
import { candleTrace, colour, draw, literal, narrow } from "./charts.js";
import { chartTime, known, price } from "./format.js";

const MINUTE = 60000, DEEPEST = 4;

/** Where the forecast pointed. @param {Object} told The explanation. @param {number} close Decided on. @returns {Array<Object>} A trace, or none. */
function pointer(told, close) {
  const said = told.prediction?.journaled?.expected_return;
  if (!known(said) || !known(close)) return [];
  return [{
    type: "scatter", mode: "lines+markers", showlegend: false, name: "forecast",
    x: [told.closed_at_ms, told.closed_at_ms + told.prediction.horizon_minutes * MINUTE].map(chartTime), y: [close, close * (1 + said)],
    line: { color: colour("text"), width: 1.8, dash: "dot" }, marker: { size: [0, 8], color: colour("text") }, hovertemplate: "forecast %{y:,}<extra></extra>",
  }];
}

/** What was filled. @param {?Array<Object>} fills Of the explanation. @returns {Object} A trace. */
function fillTrace(fills) {
  const buys = (fills ?? []).map((one) => one.side === "buy");
  return {
    type: "scatter", mode: "markers", showlegend: false, name: "filled", x: (fills ?? []).map((one) => chartTime(one.filled_at_ms)), y: (fills ?? []).map((one) => one.price),
    text: (fills ?? []).map((one) => `${literal(one.side)} ${price(one.quantity)} at ${price(one.price)}`), hovertemplate: "%{text}<extra></extra>",
    marker: { size: 13, symbol: buys.map((buy) => (buy ? "triangle-up" : "triangle-down")), color: buys.map((buy) => colour(buy ? "up" : "down")), line: { width: 1.5, color: colour("card") } },
  };
}

/**
 * Draw the candles that went in and those that came after.
 * @param {HTMLElement} place The chart's box.
 * @param {Object} told The explanation.
 * @param {Array<Object>} path Candles, oldest first.
 * @returns {Promise<void>} Done when it is drawn.
 */
export function drawInputs(place, told, path) {
  const x = path.map((one) => chartTime(one.opened_at_ms));
  const seen = told.candles?.rows ?? [];
  const from = seen.length ? chartTime(seen[0].opened_at_ms - MINUTE / 2) : null;
  const at = chartTime(told.closed_at_ms);
  const shade = from ? [{ type: "rect", xref: "x", yref: "paper", x0: from, x1: at, y0: 0, y1: 1, layer: "below", line: { width: 0 }, fillcolor: colour("own/0.09") }] : [];
  return draw(place, [candleTrace(x, path), ...pointer(told, seen.at(-1)?.close), fillTrace(told.after?.fills)], {
    shapes: [...shade, { type: "line", xref: "x", yref: "paper", x0: at, x1: at, y0: 0, y1: 1, line: { color: colour("text"), width: 1.2 } }],
    showlegend: false, dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom", xaxis: { type: "date", rangeslider: { visible: false }, hoverformat: "%-d %b %H:%M UTC" },
    yaxis: { tickformat: "," }, margin: narrow() ? { l: 44, r: 6, t: 6, b: 28 } : { l: 60, r: 10, t: 6, b: 30 }, hovermode: "closest",
  });
}

/**
 * Draw the normalized window: features up, minutes along.
 * @param {HTMLElement} place The chart's box.
 * @param {Object} told The explanation, with a window.
 * @returns {Promise<void>} Done when it is drawn.
 */
export function drawHeat(place, told) {
  const { columns, normalized, outside } = told.window;
  const end = told.closed_at_ms;
  const x = normalized.map((_, at) => chartTime(end - (normalized.length - at) * MINUTE));
  const z = columns.map((_, place_) => normalized.map((row) => row[place_]));
  const beyond = columns.flatMap((name, column) => normalized.flatMap((_, at) => (outside?.[at]?.[column] ? [[x[at], literal(name)]] : [])));
  place.style.height = `${Math.min(44, 7 + columns.length * (narrow() ? 1 : 1.15))}rem`;
  return draw(place, [{
    type: "heatmap", x, y: columns.map(literal), z, zmin: -DEEPEST, zmax: DEEPEST, xgap: 0.5, ygap: 0.5,
    colorscale: [[0, colour("down")], [0.5, colour("card")], [1, colour("up")]],
    colorbar: { thickness: 10, outlinewidth: 0, title: { text: "σ", side: "top" }, tickvals: [-4, -2, 0, 2, 4], len: 1 },
    hovertemplate: "%{y}<br>%{x|%H:%M} UTC: %{z:.2f}<extra></extra>",
  }, {
    type: "scatter", mode: "markers", x: beyond.map(([at]) => at), y: beyond.map(([, name]) => name), hovertemplate: "%{y}: beyond training<extra></extra>",
    marker: { symbol: "x-thin-open", size: 7, color: colour("text"), line: { width: 1.5 } },
  }], {
    showlegend: false, dragmode: false, xaxis: { type: "date", showgrid: false, nticks: narrow() ? 4 : 8, tickangle: 0 }, yaxis: { autorange: "reversed", showgrid: false, automargin: true, dtick: 1, tickfont: { size: 10 } },
    margin: { l: 90, r: 4, t: 6, b: 28 },
  });
}
