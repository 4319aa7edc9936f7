// The stream of server-sent events, and what a lost line looks like: never quietly stale.
import { ask } from "./api.js";

/**
 * @typedef {Object} Listeners
 * @property {function(string, any): void} event A named event and its data.
 * @property {function({state: string, since: number}): void} state "live", "lost", "refused" (the server
 *   answers, and has nothing to show) or "resting" (the page is hidden).
 */

const RETRY_MS = [1000, 2000, 4000, 8000, 15000];
/** A browser keeps six connections to a host: a page that nobody looks at gives its own back. */
const HIDDEN_MS = 20000;
const HEARTBEAT_MS = 15000;

/** The line to the server. */
export class Line {
  /**
   * @param {Listeners} listeners Who is told.
   * @param {Array<string>} topics Which events the page can use: the server sends no others.
   */
  constructor(listeners, topics) {
    this.topics = topics;
    this.listeners = listeners;
    this.source = null;
    this.failures = 0;
    this.timer = 0;
    this.rest = 0;
    this.told = { state: "connecting", since: Date.now() };
  }

  /** Open the stream, and watch over it from now on. */
  start() {
    document.addEventListener("visibilitychange", () => this.looked());
    addEventListener("online", () => this.dial());
    addEventListener("pagehide", () => this.close());
    addEventListener("pageshow", (event) => event.persisted && this.dial());
    setInterval(() => this.beat(), HEARTBEAT_MS);
    this.dial();
  }

  /** Open the stream anew. */
  dial() {
    this.close();
    const source = new EventSource(`/api/stream?topics=${this.topics.join(",")}`);
    this.source = source;
    source.onopen = () => this.opened();
    source.onerror = () => this.failed();
    for (const name of this.topics) source.addEventListener(name, (message) => this.came(name, message));
  }

  /** Let go of the stream. */
  close() {
    clearTimeout(this.timer);
    this.source?.close();
    this.source = null;
  }

  /** It is open: whatever happened in between has to be asked for. */
  opened() {
    this.failures = 0;
    this.tell("live");
  }

  /** It broke; a browser dials again by itself only where the server did not refuse. */
  failed() {
    if (this.source?.readyState !== EventSource.CLOSED) {
      this.tell("lost");
      return;
    }
    this.beat();
    const wait = RETRY_MS[Math.min(this.failures, RETRY_MS.length - 1)];
    this.failures += 1;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.dial(), wait);
  }

  /**
   * An event came.
   * @param {string} name Its name.
   * @param {MessageEvent} message Its data, JSON.
   */
  came(name, message) {
    this.tell("live");
    this.listeners.event(name, JSON.parse(message.data));
  }

  /** A line can be dead without breaking: a question now and then tells, and keeps figures fresh. */
  async beat() {
    if (document.hidden || this.told.state === "resting") return;
    try {
      this.listeners.event("minute", await ask("/api/overview"));
      if (this.told.state !== "live" && this.source?.readyState === EventSource.CLOSED) this.dial();
    } catch (error) {
      if (error.status !== 0) this.listeners.event("refused", error);
      this.tell(error.status === 0 ? "lost" : "refused");
    }
  }

  /** The reader looks at the page, or away from it. */
  looked() {
    clearTimeout(this.rest);
    if (document.hidden) {
      this.rest = setTimeout(() => { this.close(); this.tell("resting"); }, HIDDEN_MS);
    } else if (!this.source) this.dial();
  }

  /**
   * Tell a change of state.
   * @param {string} state The state from now on.
   */
  tell(state) {
    if (state === this.told.state) return;
    this.told = { state, since: Date.now() };
    this.listeners.state(this.told);
  }
}
