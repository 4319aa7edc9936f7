// Theme, printing and the plain charts of a report page. Charts stand in the page as plotly's JSON; a colour that begins
// with @ is a variable of the style, so that charts follow the theme.
"use strict";

const Report = (function () {
  const root = document.documentElement;
  const wishesDark = window.matchMedia("(prefers-color-scheme: dark)");
  const redraws = [];
  // CSS pixels that fit between the margins of A4 and of Letter; set while the page is being printed.
  const PAPER = 690;
  let paper = 0;

  function theme() {
    return root.dataset.theme || (wishesDark.matches ? "dark" : "light");
  }

  function narrow() {
    return window.innerWidth < 640;
  }

  function colour(name) {
    const [role, share] = name.slice(1).split("/");
    const hex = getComputedStyle(root).getPropertyValue("--" + role).trim();
    if (!share) return hex;
    const parts = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
    return `rgba(${parts.join(",")},${share})`;
  }

  // A copy of plotly's JSON with colours for @names and the shared times for "@times".
  function coloured(value, times) {
    if (typeof value === "string" && value.startsWith("@")) return value === "@times" ? times : colour(value);
    if (Array.isArray(value)) return value.map((one) => coloured(one, times));
    if (value && typeof value === "object" && !ArrayBuffer.isView(value)) {
      return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, coloured(one, times)]));
    }
    return value;
  }

  function template() {
    const axis = {
      gridcolor: colour("@grid"), linecolor: colour("@line"), zerolinecolor: colour("@line"), automargin: true,
      tickcolor: colour("@line"), zerolinewidth: 1, fixedrange: matchMedia("(pointer: coarse)").matches,
    };
    return {
      layout: {
        font: { color: colour("@text"), size: narrow() ? 11 : 12.5, family: getComputedStyle(document.body).fontFamily },
        paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
        colorway: ["@own", "@hold", "@cash"].map(colour),
        xaxis: axis, yaxis: axis,
        margin: narrow() ? { l: 44, r: 8, t: 30, b: 34 } : { l: 60, r: 16, t: 34, b: 40 },
        legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", bgcolor: "rgba(0,0,0,0)" },
        hoverlabel: { bgcolor: colour("@card"), bordercolor: colour("@line"), font: { color: colour("@text") } },
        bargap: 0.08,
      },
    };
  }

  const config = { displayModeBar: false, responsive: true, displaylogo: false, showTips: false };

  function show(place, data, layout) {
    const base = template();
    if (layout.showlegend === false && !layout.title) base.layout.margin.t = 14;
    return Plotly.react(place, data, { ...layout, template: base, width: paper || undefined }, config);
  }

  function plot(box) {
    const told = JSON.parse(box.querySelector("script").textContent);
    const place = document.createElement("div");
    place.className = "plot";
    box.append(place);
    const draw = () => show(place, coloured(told.data, told.times), coloured(told.layout || {}, told.times));
    redraws.push(draw);
    return draw();
  }

  function redraw() {
    return Promise.all(redraws.map((draw) => draw()));
  }

  function label(button) {
    const dark = theme() === "dark";
    button.textContent = dark ? "☀ Light theme" : "☾ Dark theme";
    button.setAttribute("aria-label", dark ? "Switch to the light theme" : "Switch to the dark theme");
  }

  function choose(button) {
    const chosen = theme() === "dark" ? "light" : "dark";
    root.dataset.theme = chosen;
    try {
      localStorage.setItem("report-theme", chosen);
    } catch (refused) {
      // Storage is forbidden: the choice holds until the page is closed.
    }
    label(button);
    redraw();
  }

  // On paper charts are dark on white, and as wide as the paper.
  function printable() {
    let before;
    window.addEventListener("beforeprint", () => {
      before = root.dataset.theme;
      root.dataset.theme = "light";
      paper = PAPER;
      redraw();
    });
    window.addEventListener("afterprint", () => {
      if (before === undefined) delete root.dataset.theme;
      else root.dataset.theme = before;
      paper = 0;
      redraw();
    });
  }

  async function start() {
    const button = document.getElementById("theme");
    if (button) {
      label(button);
      button.addEventListener("click", () => choose(button));
    }
    wishesDark.addEventListener("change", () => {
      if (button) label(button);
      redraw();
    });
    printable();
    for (const box of document.querySelectorAll(".chart:not(#market-chart)")) {
      await plot(box);
      // The reader may scroll and click while the rest is drawn.
      await new Promise((next) => setTimeout(next));
    }
    if (document.getElementById("market-chart")) await Market.start();
    root.dataset.drawn = "true";
  }

  return { start, show, redraws, colour, narrow };
})();
