// Unpacking of candles (report_pack.py says how they are packed) and joining of bars.
const Candles = (function () {
  const MINUTE = 60000;

  async function inflated(text) {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Response(stream).arrayBuffer();
  }

  async function steps(text) {
    if (!text) return [];
    const planes = new Uint8Array(await inflated(text));
    const count = planes.length / 4;
    const found = new Float64Array(count);
    for (let at = 0; at < count; at++) {
      const folded =
        planes[at] + planes[at + count] * 256 + planes[at + 2 * count] * 65536 + planes[at + 3 * count] * 16777216;
      found[at] = folded % 2 ? -(folded + 1) / 2 : folded / 2;
    }
    return found;
  }

  async function bars(packed) {
    if (!packed || !packed.count) return { t: [], o: [], h: [], l: [], c: [] };
    const [minutes, close, open, high, low] = await Promise.all(
      ["minutes", "close", "open", "high", "low"].map((name) => steps(packed[name])));
    const n = packed.count, step = packed.step;
    const found = { t: new Float64Array(n), o: new Float64Array(n), h: new Float64Array(n), l: new Float64Array(n),
      c: new Float64Array(n) };
    let minute = 0, before = 0;
    for (let at = 0; at < n; at++) {
      minute += minutes[at];
      const o = before + open[at], c = before + close[at];
      found.t[at] = minute * MINUTE;
      found.o[at] = o * step;
      found.c[at] = c * step;
      found.h[at] = (Math.max(o, c) + high[at]) * step;
      found.l[at] = (Math.min(o, c) - low[at]) * step;
      before = c;
    }
    return found;
  }

  function firstFrom(times, at) {
    let low = 0, high = times.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (times[middle] < at) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  // Bars of `span` minutes out of finer ones, from one row to another.
  function joined(source, span, from, to) {
    const found = { t: [], o: [], h: [], l: [], c: [] };
    let last = -1;
    for (let at = from; at < to; at++) {
      const bar = Math.floor(source.t[at] / (span * MINUTE)) * span * MINUTE;
      const end = found.t.length - 1;
      if (bar !== last) {
        found.t.push(bar); found.o.push(source.o[at]); found.h.push(source.h[at]);
        found.l.push(source.l[at]); found.c.push(source.c[at]);
        last = bar;
      } else {
        found.h[end] = Math.max(found.h[end], source.h[at]);
        found.l[end] = Math.min(found.l[end], source.l[at]);
        found.c[end] = source.c[at];
      }
    }
    return found;
  }

  return { inflated, bars, firstFrom, joined };
})();
