// Charts by plotly, which is fetched once a page has shown its words.
import { byId } from "./dom.js";
import { isDark } from "./app.js";

let fetched = null;

/**
 * The library; the page names where it lies.
 * @returns {Promise<Object>} Plotly.
 */
function library() {
  fetched ??= new Promise((done, broken) => {
    const script = document.createElement("script");
    script.src = byId("plotly").href;
    script.onload = () => done(window.Plotly);
    script.onerror = () => { fetched = null; broken(new Error("The chart library could not be fetched: reload the page.")); };
    document.head.append(script);
  });
  return fetched;
}

/**
 * A colour of the style, as it is in this theme.
 * @param {string} name Such as "own", or "own/0.3" for a thin one.
 * @returns {string} A colour.
 */
export function colour(name) {
  const [role, share] = name.split("/");
  const hex = getComputedStyle(document.documentElement).getPropertyValue(`--${role}`).trim();
  if (!share) return hex;
  return `rgba(${[1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)).join(",")},${share})`;
}

/**
 * Words as plotly shows them literally: it reads a few tags otherwise.
 * @param {any} words Whatever came.
 * @returns {string} Harmless.
 */
export const literal = (words) => String(words).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

/** Whether there is little room. @returns {boolean} A phone's. */
export const narrow = () => window.innerWidth < 704;

/** What all charts share. @returns {Object} A template of plotly's. */
function template() {
  const axis = {
    gridcolor: colour("grid"), linecolor: colour("line"), zerolinecolor: colour("quiet/0.5"), tickcolor: colour("line"),
    automargin: true, zerolinewidth: 1,
  };
  return {
    layout: {
      font: { color: colour("text"), size: narrow() ? 11 : 12, family: getComputedStyle(document.body).fontFamily },
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", colorway: [colour("own"), colour("hold"), colour("quiet")],
      xaxis: axis, yaxis: axis, margin: narrow() ? { l: 40, r: 8, t: 26, b: 30 } : { l: 56, r: 14, t: 28, b: 34 },
      legend: { orientation: "h", x: 0, y: 1, yanchor: "bottom", bgcolor: "rgba(0,0,0,0)" },
      hoverlabel: { bgcolor: colour("card"), bordercolor: colour("line"), font: { color: colour("text") } },
    },
  };
}

const CONFIG = { displayModeBar: false, responsive: true, displaylogo: false, showTips: false, doubleClick: "reset" };

/**
 * Draw a chart, or bring it up to date.
 * @param {HTMLElement} place A box of the page.
 * @param {Array<Object>} data Traces of plotly's.
 * @param {Object} layout Of plotly's.
 * @returns {Promise<void>} Done when it is drawn.
 */
export async function draw(place, data, layout) {
  const plotly = await library();
  place.querySelector(".wait")?.remove();
  await plotly.react(place, data, { ...layout, template: template() }, CONFIG);
  place.dataset.drawn = isDark() ? "dark" : "light";
  place.dataset.times = String(Number(place.dataset.times ?? 0) + 1);
}

/**
 * Take a chart away.
 * @param {HTMLElement} place Its box.
 */
export function clear(place) {
  window.Plotly?.purge(place);
  delete place.dataset.drawn;
}

/**
 * Candles as a trace: a rise is hollow and a fall is full, the colour is not needed to tell them.
 * @param {Array<string>} x Times.
 * @param {Array<Object>} candles With open, high, low and close.
 * @returns {Object} A trace.
 */
export function candleTrace(x, candles) {
  const of = (name) => candles.map((one) => one[name]);
  return {
    type: "candlestick", name: "candles", showlegend: false, x, open: of("open"), high: of("high"), low: of("low"), close: of("close"),
    whiskerwidth: 0, increasing: { line: { color: colour("up"), width: 1 }, fillcolor: colour("card") },
    decreasing: { line: { color: colour("down"), width: 1 }, fillcolor: colour("down") },
  };
}
