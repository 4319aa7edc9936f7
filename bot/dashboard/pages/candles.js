// The chart of a symbol: candles, what was traded, stop and target, gaps, the forecasts below, volume.
import { candleTrace, colour, draw, literal, narrow } from "./charts.js";
import { bps, chartTime, known, money, percent, price, words } from "./format.js";

const MINUTE = 60000;

/** What a mark looks like: shape, colour, whether it is full. */
const MARKS = {
  entry: { open: false }, exit: { open: true }, stop: { open: true, word: "stop-loss" },
  take_profit: { open: true, word: "take-profit" }, flatten: { open: true, word: "flatten" },
};

/**
 * Marks of one side as a trace.
 * @param {Array<Object>} marks Of /api/candles.
 * @param {string} side "buy" or "sell".
 * @param {boolean} entries Entries, or what ends a position.
 * @returns {Object} A trace.
 */
function markTrace(marks, side, entries) {
  const kept = marks.filter((one) => one.side === side && (one.kind === "entry") === entries);
  const shape = (side === "buy" ? "triangle-up" : "triangle-down") + (entries ? "" : "-open");
  const role = side === "buy" ? "up" : "down";
  return {
    type: "scatter", mode: "markers", name: `${side === "buy" ? "▲" : "▼"} ${entries ? "entry" : "exit"}`, showlegend: false,
    x: kept.map((one) => chartTime(one.at_ms)), y: kept.map((one) => one.price), text: kept.map(markWords),
    hovertemplate: "%{text}<extra></extra>",
    marker: { symbol: shape, size: 13, color: colour(role), line: { width: entries ? 1.5 : 2.2, color: colour(entries ? "card" : role) } },
  };
}

/** What the pointer tells of a mark. @param {Object} one A mark. @returns {string} Lines. */
function markWords(one) {
  const gain = known(one.pnl) ? `<br>net ${money(one.pnl, true)}` : "";
  return `${literal(MARKS[one.kind]?.word ?? words(one.kind))}: ${literal(one.side)} ${price(one.quantity)} at ${price(one.price)}${gain}`;
}

/** Forecasts as bars, and those that were withheld. @param {Array<Object>} forecasts Of /api/candles. @returns {Array<Object>} Traces. */
function forecastTraces(forecasts) {
  const given = forecasts.filter((one) => !one.abstained && known(one.expected_return));
  const withheld = forecasts.filter((one) => one.abstained);
  return [{
    type: "bar", name: "forecast", showlegend: false, yaxis: "y2", x: given.map((one) => chartTime(one.closed_at_ms - MINUTE)),
    y: given.map((one) => one.expected_return * 10000), marker: { color: given.map((one) => colour(one.expected_return >= 0 ? "up" : "down")) },
    text: given.map((one) => `${bps(one.expected_return)} in ${one.horizon_minutes} min${known(one.probability_up) ? `, P(up) ${percent(one.probability_up, 1)}` : ""}`),
    textposition: "none", hovertemplate: "%{text}<extra></extra>",
  }, {
    type: "scatter", mode: "markers", name: "no forecast", showlegend: false, yaxis: "y2",
    x: withheld.map((one) => chartTime(one.closed_at_ms - MINUTE)), y: withheld.map(() => 0),
    marker: { symbol: "x-thin-open", size: 6, color: colour("quiet") }, hovertemplate: "the model gave no forecast<extra></extra>",
  }];
}

/** The newest forecast as a line ahead. @param {Object} told /api/candles. @returns {Array<Object>} A trace, or none. */
function aheadTrace(told) {
  const last = told.candles.at(-1);
  const said = told.forecasts.at(-1);
  if (!last || !said || said.abstained || !known(said.expected_return) || said.closed_at_ms < last.opened_at_ms) return [];
  return [{
    type: "scatter", mode: "lines+markers", name: "forecast", showlegend: false,
    x: [said.closed_at_ms, said.closed_at_ms + said.horizon_minutes * MINUTE].map(chartTime),
    y: [last.close, last.close * (1 + said.expected_return)], line: { color: colour("text"), width: 1.6, dash: "dot" },
    marker: { size: [0, 7], color: colour("text") }, hovertemplate: `forecast ${bps(said.expected_return)}: %{y:,}<extra></extra>`,
  }];
}

/** Stop, target and entry of what is held. @param {Object} told /api/candles. @param {string} until Right edge. @returns {Object} Shapes and words. */
function levelShapes(told, until) {
  const shapes = [], annotations = [];
  for (const one of told.levels) {
    for (const [name, value, role, dash] of [["stop", one.stop, "down", "dash"], ["target", one.take_profit, "up", "dashdot"], ["entry", one.entry_price, "quiet", "dot"]]) {
      if (!known(value)) continue;
      const from = chartTime(Math.max(one.since_ms, told.candles[0]?.opened_at_ms ?? one.since_ms));
      shapes.push({ type: "line", xref: "x", yref: "y", x0: from, x1: until, y0: value, y1: value, line: { color: colour(role), width: 1.4, dash } });
      annotations.push({ x: until, y: value, xref: "x", yref: "y", xanchor: "right", yanchor: "bottom", showarrow: false, text: `${name} ${price(value)}`, bgcolor: colour("card/0.8"), font: { color: colour(role === "quiet" ? "text" : role), size: 11 } });
    }
  }
  return { shapes, annotations };
}

/** Stretches without candles. @param {Array<Object>} gaps Of /api/candles. @returns {Object} Shapes and words. */
function gapShapes(gaps) {
  return {
    shapes: gaps.map((one) => ({
      type: "rect", xref: "x", yref: "paper", x0: chartTime(one.from_ms - MINUTE / 2), x1: chartTime(one.to_ms - MINUTE / 2), y0: 0, y1: 1,
      layer: "below", line: { width: 1, color: colour("warn-line"), dash: "dot" }, fillcolor: colour("warn-line/0.18") })),
    annotations: gaps.slice(-6).map((one) => ({
      x: chartTime((one.from_ms + one.to_ms) / 2), y: 1, xref: "x", yref: "paper", yanchor: "top", showarrow: false, text: "gap",
      font: { color: colour("text"), size: 11 } })),
  };
}

/** What is seen of the prices. @param {Object} told /api/candles. @param {Array<Object>} ahead The line ahead. @returns {[number, number]} Bottom and top. */
function extent(told, ahead) {
  const levels = told.levels.flatMap((one) => [one.stop, one.take_profit, one.entry_price]);
  const values = [...told.candles.flatMap((one) => [one.low, one.high]), ...told.marks.map((one) => one.price), ...levels].filter(known);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const reach = high - low || high * 0.001 || 1;
  // A wild forecast must not press the candles flat.
  const tips = ahead.flatMap((one) => one.y).map((one) => Math.min(Math.max(one, low - reach * 0.4), high + reach * 0.4));
  return [Math.min(low, ...tips) - reach * 0.06, Math.max(high, ...tips) + reach * 0.06];
}

/**
 * Draw what /api/candles told.
 * @param {HTMLElement} place The chart's box.
 * @param {Object} told The answer, with at least one candle.
 * @returns {Promise<void>} Done when it is drawn.
 */
export function drawCandles(place, told) {
  const x = told.candles.map((one) => chartTime(one.opened_at_ms));
  const ahead = aheadTrace(told);
  const last = told.candles.at(-1).opened_at_ms + MINUTE;
  const edge = chartTime(Math.max(last + told.candles.length * MINUTE * 0.03, ...ahead.map((one) => Date.parse(`${one.x[1]}Z`) + MINUTE)));
  const [levels, gaps] = [levelShapes(told, edge), gapShapes(told.gaps)];
  const data = [
    candleTrace(x, told.candles), ...ahead,
    ...[["buy", true], ["sell", true], ["buy", false], ["sell", false]].map(([side, entries]) => markTrace(told.marks, side, entries)),
    ...forecastTraces(told.forecasts),
    { type: "bar", name: "volume", showlegend: false, yaxis: "y3", x, y: told.candles.map((one) => one.volume), marker: { color: colour("quiet/0.55") }, hovertemplate: "volume %{y:,}<extra></extra>" },
  ];
  return draw(place, data, {
    shapes: [...gaps.shapes, ...levels.shapes], annotations: [...gaps.annotations, ...levels.annotations], bargap: 0.15, hovermode: "x", showlegend: false,
    dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom", margin: narrow() ? { l: 44, r: 6, t: 8, b: 28 } : { l: 62, r: 12, t: 8, b: 30 },
    xaxis: { type: "date", range: [x[0], edge], rangeslider: { visible: false }, anchor: "y3", hoverformat: "%-d %b %H:%M UTC" },
    yaxis: { domain: [0.36, 1], range: extent(told, ahead), tickformat: ",", title: { text: "price", standoff: 4 } },
    yaxis2: { domain: [0.155, 0.31], title: { text: "bps", standoff: 4 }, zeroline: true, nticks: 4 },
    yaxis3: { domain: [0, 0.115], title: { text: "volume", standoff: 4 }, nticks: 3, rangemode: "tozero" },
  });
}
