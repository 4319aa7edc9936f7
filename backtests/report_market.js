// The candles with the trades on them, and the table of trades. The whole run is joined to as many bars as can be told
// apart; minutes are shown where they are at hand.
const Market = (function () {
  const MINUTE = 60000;
  const SPANS = [1, 5, 15, 30, 60, 120, 240, 720, 1440, 4320, 10080, 43200];
  const PAGE = 20;
  const state = { symbol: 0, range: null, picked: null, page: 0, order: "number", falling: false, list: [] };
  let market, trades, place, rows;

  // What is drawn of a stretch: its bars, and how many minutes each of them is.
  function visible(from, to) {
    const one = market.symbols[state.symbol];
    const most = Report.narrow() ? 150 : 420;
    const minutes = (to - from) / MINUTE;
    const near = one.near;
    const first = Candles.firstFrom(near.t, from), after = Candles.firstFrom(near.t, to);
    const dense = minutes <= 3 * most && after - first >= 0.75 * minutes;
    const source = dense ? near : one.whole;
    const finest = dense ? 1 : market.span;
    const span = SPANS.find((each) => each >= finest && minutes / each <= most) || SPANS[SPANS.length - 1];
    const margin = (to - from) / 3;
    const bars = Candles.joined(source, span, Candles.firstFrom(source.t, from - margin), Candles.firstFrom(source.t, to + margin));
    return { bars, span };
  }

  const iso = (at) => new Date(at).toISOString().slice(0, 19);
  const spoken = (at) => new Date(at).toISOString().slice(0, 16).replace("T", " ");
  const spanWords = (span) =>
    span === 1 ? "one minute" : span < 60 ? `${span} minutes` : span < 1440 ? `${span / 60} h` : `${span / 1440} d`;

  function digits(value) {
    if (value === null || value === undefined) return "–";
    const size = Math.abs(value);
    return value.toLocaleString("en", {
      maximumFractionDigits: size >= 1000 ? 2 : size >= 1 ? 4 : 8, minimumFractionDigits: size >= 10 ? 2 : 0 });
  }
  const signed = (value, places) =>
    (value > 0 ? "+" : value < 0 ? "−" : "") +
    Math.abs(value).toLocaleString("en", { minimumFractionDigits: places, maximumFractionDigits: places });

  // How many trades can be told apart; of more only the times are shown.
  const crowd = () => (Report.narrow() ? 30 : 70);

  function inView(from, to) {
    return rows.filter((at) =>
      trades.symbol[at] === state.symbol && trades.exitAt[at] >= from && trades.entryAt[at] <= to);
  }

  function pairs(chosen, first, second) {
    const x = [], y = [];
    for (const at of chosen) {
      const [one, two] = [first(at), second(at)];
      if (one[1] === null || two[1] === null) continue;
      x.push(iso(one[0]), iso(two[0]), null);
      y.push(one[1], two[1], null);
    }
    return { x, y };
  }

  function lines(name, chosen, level, role, dash) {
    return {
      type: "scatter", mode: "lines", name, hoverinfo: "skip", line: { color: Report.colour(role), width: 1.5, dash },
      ...pairs(chosen, (at) => [trades.entryAt[at], level(at)],
        (at) => [Math.max(trades.exitAt[at], trades.entryAt[at] + MINUTE), level(at)]),
    };
  }

  function marks(name, chosen, at, price, symbol, role, open) {
    return {
      type: "scatter", mode: "markers", name, x: chosen.map((one) => iso(at[one])), y: chosen.map((one) => price[one]),
      text: chosen.map((one) => `trade ${one + 1}, ${signed(trades.bps[one], 1)} bps`), customdata: chosen,
      hovertemplate: `${name}: %{y}<br>%{text}<br>%{x}<extra></extra>`,
      marker: {
        symbol: symbol + (open ? "-open" : ""), color: Report.colour(role), opacity: 1,
        size: chosen.map((one) => (one === state.picked ? 17 : 11)),
        line: { width: open ? 2 : 1.5, color: Report.colour(open ? role : "@card") },
      },
    };
  }

  function overlays(chosen, from, to, low, high) {
    const most = crowd();
    if (chosen.length > most) {
      const base = low - (high - low) * 0.03;
      return [{
        type: "scatter", mode: "lines", name: "trades", hoverinfo: "skip",
        line: { color: Report.colour("@text/0.6"), width: 1 },
        ...pairs(chosen, (at) => [trades.entryAt[at], base],
          (at) => [trades.entryAt[at], base + (high - low) * 0.025]),
      }];
    }
    const longs = chosen.filter((at) => trades.long[at]), shorts = chosen.filter((at) => !trades.long[at]);
    return [
      { type: "scatter", mode: "lines", name: "held", showlegend: false, hoverinfo: "skip",
        line: { color: Report.colour("@text/0.55"), width: 1.2, dash: "dot" },
        ...pairs(chosen, (at) => [trades.entryAt[at], trades.entry[at]], (at) => [trades.exitAt[at], trades.exit[at]]) },
      lines("stop", chosen, (at) => trades.stop[at], "@stop", "dash"),
      lines("target", chosen, (at) => trades.target[at], "@target", "dashdot"),
      marks("long entry", longs, trades.entryAt, trades.entry, "triangle-up", "@up", false),
      marks("short entry", shorts, trades.entryAt, trades.entry, "triangle-down", "@down", false),
      marks("exit", chosen, trades.exitAt, trades.exit, "diamond", "@text", true),
    ].filter((trace) => trace.x.length);
  }

  function extent(bars, chosen, from, to) {
    let low = Infinity, high = -Infinity;
    const include = (value) => {
      if (value === null || value === undefined) return;
      low = Math.min(low, value);
      high = Math.max(high, value);
    };
    for (let at = 0; at < bars.t.length; at++) {
      if (bars.t[at] < from - MINUTE || bars.t[at] > to) continue;
      include(bars.l[at]);
      include(bars.h[at]);
    }
    if (state.picked !== null && chosen.includes(state.picked)) {
      for (const name of ["entry", "exit", "stop", "target"]) include(trades[name][state.picked]);
    }
    return low < high ? [low, high] : low === high ? [low * 0.999, high * 1.001] : [0, 1];
  }

  function shading(chosen) {
    const at = state.picked;
    if (at === null || !chosen.includes(at)) return { shapes: [], annotations: [] };
    const end = Math.max(trades.exitAt[at], trades.entryAt[at] + MINUTE);
    const named = [["stop", "@stop"], ["target", "@target"]].filter(([name]) => trades[name][at] !== null);
    return {
      shapes: [{
        type: "rect", xref: "x", yref: "paper", x0: iso(trades.entryAt[at]), x1: iso(end), y0: 0, y1: 1, layer: "below",
        line: { width: 0 }, fillcolor: Report.colour("@text/0.07"),
      }],
      annotations: named.map(([name, role]) => ({
        x: iso(end), y: trades[name][at], xref: "x", yref: "y", text: `${name} ${digits(trades[name][at])}`,
        showarrow: false, xanchor: "left", xshift: 6, font: { color: Report.colour(role) },
      })),
    };
  }

  function draw() {
    const [from, to] = state.range;
    const { bars, span } = visible(from, to);
    const chosen = inView(from, to);
    const [low, high] = extent(bars, chosen, from, to);
    const candles = {
      type: "candlestick", name: market.symbols[state.symbol].symbol, x: bars.t.map(iso),
      open: bars.o, high: bars.h, low: bars.l, close: bars.c, showlegend: false, whiskerwidth: 0,
      // A rise is hollow and a fall is full: the colour is not needed to tell them.
      increasing: { line: { color: Report.colour("@up"), width: 1 }, fillcolor: Report.colour("@card") },
      decreasing: { line: { color: Report.colour("@down"), width: 1 }, fillcolor: Report.colour("@down") },
    };
    const above = (high - low) * 0.06;
    const layout = {
      ...shading(chosen), dragmode: matchMedia("(pointer: coarse)").matches ? false : "pan", hovermode: "closest",
      xaxis: { type: "date", range: [iso(from), iso(to)], rangeslider: { visible: false } },
      yaxis: { range: [low - above, high + above], fixedrange: true, tickformat: "," },
    };
    say(chosen, span);
    return Report.show(place, [candles, ...overlays(chosen, from, to, low, high)], layout);
  }

  function say(chosen, span) {
    const at = state.picked;
    const [from, to] = state.range;
    const about = at === null ? `${spoken(from)} to ${spoken(to)} UTC, ${chosen.length.toLocaleString("en")} trades`
      : `Trade ${at + 1}: ${trades.long[at] ? "long" : "short"}, in at ${digits(trades.entry[at])} on ` +
        `${spoken(trades.entryAt[at])}, out at ${digits(trades.exit[at])} on ${spoken(trades.exitAt[at])} UTC ` +
        `(${trades.reasons[trades.reason[at]]}), net ${signed(trades.bps[at], 1)} bps`;
    const more = chosen.length > crowd() ? "; zoom in to see entries and exits" : "";
    document.getElementById("market-status").textContent = `${about}. A candle is ${spanWords(span)}${more}.`;
    const chart = document.getElementById("market-chart");
    chart.dataset.span = span;
    chart.dataset.picked = at === null ? "" : at + 1;
  }

  function whole() {
    const times = market.symbols[state.symbol].whole.t;
    return [times[0], times[times.length - 1] + market.span * MINUTE];
  }

  function go(from, to) {
    const [first, last] = whole();
    const width = Math.min(Math.max(to - from, 15 * MINUTE), (last - first) * 1.02);
    const middle = Math.min(Math.max((from + to) / 2, first + width / 2 - width * 0.01), last - width / 2 + width * 0.01);
    state.range = [middle - width / 2, middle + width / 2];
    return draw();
  }

  function zoom(factor) {
    const [from, to] = state.range, middle = (from + to) / 2, half = ((to - from) / 2) * factor;
    return go(middle - half, middle + half);
  }

  function slide(share) {
    const [from, to] = state.range, by = (to - from) * share;
    return go(from + by, to + by);
  }

  function pick(at, scroll) {
    state.picked = at;
    state.symbol = trades.symbol[at];
    document.getElementById("market-symbol").value = String(state.symbol);
    const length = trades.exitAt[at] - trades.entryAt[at];
    const pad = Math.max(40 * MINUTE, length * 0.35);
    const drawn = go(trades.entryAt[at] - pad, trades.exitAt[at] + pad);
    fill();
    if (scroll) document.getElementById("market-chart").scrollIntoView({ block: "center" });
    return drawn;
  }

  function stepTrade(by) {
    if (!rows.length) return;
    const now = state.list.indexOf(state.picked);
    const next = state.picked === null ? (by > 0 ? 0 : state.list.length - 1)
      : Math.min(Math.max(now + by, 0), state.list.length - 1);
    state.page = Math.floor(next / PAGE);
    pick(state.list[next], false);
  }

  const COLUMNS = [
    ["number", "Trade", (at) => at + 1],
    ["symbol", "Symbol", (at) => market.symbols[trades.symbol[at]].symbol],
    ["long", "Direction", (at) => (trades.long[at] ? "▲ long" : "▼ short")],
    ["entryAt", "Entry, UTC", (at) => spoken(trades.entryAt[at])],
    ["exitAt", "Exit, UTC", (at) => spoken(trades.exitAt[at])],
    ["bps", "Net, bps", (at) => signed(trades.bps[at], 1)],
    ["pnl", "Net", (at) => signed(trades.pnl[at], 2)],
    ["reason", "Reason", (at) => trades.reasons[trades.reason[at]]],
    ["entry", "Entry price", (at) => digits(trades.entry[at])],
    ["exit", "Exit price", (at) => digits(trades.exit[at])],
    ["stop", "Stop", (at) => digits(trades.stop[at])],
    ["target", "Target", (at) => digits(trades.target[at])],
    ["quantity", "Quantity", (at) => digits(trades.quantity[at])],
    ["fees", "Fees", (at) => signed(trades.fees[at], 2).replace("+", "")],
    ["funding", "Funding", (at) => signed(trades.funding[at], 2).replace("+", "")],
  ];
  const WORDS = new Set(["symbol", "long", "reason"]);

  function sort() {
    const key = state.order;
    const value = key === "number" ? (at) => at
      : key === "reason" ? (at) => trades.reasons[trades.reason[at]] : (at) => trades[key][at] ?? -Infinity;
    state.list = [...rows].sort((one, two) => {
      const [left, right] = [value(one), value(two)];
      const by = left < right ? -1 : left > right ? 1 : one - two;
      return state.falling ? -by : by;
    });
  }

  function heads() {
    const row = document.createElement("tr");
    for (const [key, title] of COLUMNS) {
      const head = document.createElement("th");
      head.scope = "col";
      if (WORDS.has(key)) head.className = "words";
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = title;
      button.addEventListener("click", () => {
        state.falling = state.order === key ? !state.falling : false;
        state.order = key;
        state.page = 0;
        sort();
        fill();
      });
      head.append(button);
      head.dataset.key = key;
      row.append(head);
    }
    document.querySelector("#trades-table thead").replaceChildren(row);
  }

  function tableRow(at) {
    const row = document.createElement("tr");
    if (at === state.picked) row.setAttribute("aria-current", "true");
    for (const [key, , text] of COLUMNS) {
      const cell = document.createElement(key === "number" ? "th" : "td");
      if (WORDS.has(key)) cell.className = "words";
      if (key === "number") {
        cell.scope = "row";
        const button = document.createElement("button");
        button.type = "button";
        button.textContent = text(at);
        button.setAttribute("aria-label", `Show trade ${at + 1} on the candles`);
        cell.append(button);
      } else {
        cell.textContent = text(at);
        if (key === "pnl" || key === "bps") cell.className = trades.pnl[at] > 0 ? "good" : trades.pnl[at] < 0 ? "bad" : "";
      }
      row.append(cell);
    }
    row.addEventListener("click", () => {
      pick(at, true);
      document.querySelector(`#trades-table tr[aria-current="true"] button`)?.focus({ preventScroll: true });
    });
    return row;
  }

  function fill() {
    const pages = Math.max(1, Math.ceil(state.list.length / PAGE));
    const shown = state.list.slice(state.page * PAGE, (state.page + 1) * PAGE);
    document.querySelector("#trades-table tbody").replaceChildren(...shown.map(tableRow));
    for (const head of document.querySelectorAll("#trades-table thead th")) {
      const mine = head.dataset.key === state.order;
      if (mine) head.setAttribute("aria-sort", state.falling ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
      const button = head.firstChild;
      button.textContent = COLUMNS.find(([key]) => key === head.dataset.key)[1] + (mine ? (state.falling ? " ▼" : " ▲") : "");
    }
    document.getElementById("trades-page").textContent = `Page ${state.page + 1} of ${pages}`;
    document.getElementById("trades-before").disabled = state.page === 0;
    document.getElementById("trades-after").disabled = state.page >= pages - 1;
  }

  function moved(event) {
    const from = event["xaxis.range[0]"] ?? event["xaxis.range"]?.[0], to = event["xaxis.range[1]"] ?? event["xaxis.range"]?.[1];
    if (event["xaxis.autorange"]) return go(...whole());
    if (from === undefined || to === undefined) return undefined;
    const read = (text) => Date.parse(String(text).replace(" ", "T") + "Z");
    return go(read(from), read(to));
  }

  function wire() {
    const on = (name, act) => document.getElementById(name)?.addEventListener("click", act);
    on("market-whole", () => { state.picked = null; fill(); go(...whole()); });
    on("market-in", () => zoom(0.5));
    on("market-out", () => zoom(2));
    on("market-left", () => slide(-0.5));
    on("market-right", () => slide(0.5));
    on("market-before", () => stepTrade(-1));
    on("market-after", () => stepTrade(1));
    on("trades-before", () => { state.page -= 1; fill(); });
    on("trades-after", () => { state.page += 1; fill(); });
    document.getElementById("market-symbol").addEventListener("change", (event) => {
      state.symbol = Number(event.target.value);
      state.picked = null;
      go(...whole());
      fill();
    });
    place.on("plotly_relayout", moved);
    place.on("plotly_click", (event) => {
      const at = event.points.find((point) => point.customdata !== undefined)?.customdata;
      if (at !== undefined) pick(at, false);
    });
  }

  async function start() {
    const box = document.getElementById("market-chart");
    if (typeof DecompressionStream === "undefined") {
      document.getElementById("market-status").textContent =
        "This browser is too old to unpack the candles. trades.csv beside this page holds every trade.";
      return;
    }
    const packed = JSON.parse(document.getElementById("market-data").textContent);
    trades = JSON.parse(new TextDecoder().decode(await Candles.inflated(packed.trades)));
    market = { span: packed.span, symbols: [] };
    for (const one of packed.symbols) {
      market.symbols.push({ symbol: one.symbol, whole: await Candles.bars(one.whole), near: await Candles.bars(one.near) });
    }
    rows = trades.pnl.map((_, at) => at);
    place = document.createElement("div");
    place.className = "plot";
    box.append(place);
    sort();
    heads();
    await go(...whole());
    wire();
    fill();
    Report.redraws.push(draw);
  }

  return { start };
})();
