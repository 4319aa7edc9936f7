// A list that grows at its top while somebody reads it: what is new waits where the reader has scrolled down.
import { byId, say } from "./dom.js";

const AWAY_PX = 160;

/**
 * A list, newest first.
 * @template T
 */
export class Stream {
  /**
   * @param {Object} own
   * @param {number} own.most How many are kept.
   * @param {function(T): string} own.keyOf What tells two apart.
   * @param {function(Array<T>): void} own.show Shows them all.
   * @param {string} own.noun What they are, in the plural.
   */
  constructor({ most, keyOf, show, noun }) {
    Object.assign(this, { most, keyOf, show, noun });
    this.items = [];
    this.waiting = [];
    this.following = true;
    this.pending = 0;
    byId("fresh").addEventListener("click", () => this.admit(true));
    addEventListener("scroll", () => this.near() && this.waiting.length && this.admit(false), { passive: true });
  }

  /** Whether the reader sees the top. @returns {boolean} Then the list may move. */
  near() {
    return window.scrollY < AWAY_PX && this.following;
  }

  /** Begin anew. @param {Array<T>} items The newest, newest first. */
  begin(items) {
    this.items = items;
    this.waiting = [];
    this.draw();
  }

  /** Add what is older. @param {Array<T>} items Newest first. */
  older(items) {
    const have = new Set(this.items.map(this.keyOf));
    this.items = [...this.items, ...items.filter((one) => !have.has(this.keyOf(one)))];
    this.most = Math.max(this.most, this.items.length);
    this.draw();
  }

  /** One more came. @param {T} item The newest. */
  add(item) {
    const key = this.keyOf(item);
    if (this.items.some((one) => this.keyOf(one) === key) || this.waiting.some((one) => this.keyOf(one) === key)) return;
    this.waiting = [item, ...this.waiting].slice(0, this.most);
    // A tape is played faster than anybody reads: what comes within a moment is shown at once.
    this.pending ||= setTimeout(() => { this.pending = 0; this.near() ? this.admit(false) : this.tell(); }, 150);
  }

  /** Show what waits. @param {boolean} asked Whether the reader asked for it: then go to the top. */
  admit(asked) {
    this.items = [...this.waiting, ...this.items].slice(0, this.most);
    this.waiting = [];
    if (asked) window.scrollTo({ top: 0 });
    this.draw();
  }

  /** Follow, or let new ones wait. @param {boolean} following Which. */
  follow(following) {
    this.following = following;
    if (following) this.admit(true);
  }

  /** Show all, and what waits. */
  draw() {
    this.show(this.items);
    this.tell();
  }

  /** Tell how many wait. */
  tell() {
    const button = byId("fresh");
    button.hidden = !this.waiting.length;
    button.parentElement.hidden = button.hidden;
    say(button, `↑ ${this.waiting.length} new ${this.noun}`);
  }
}
