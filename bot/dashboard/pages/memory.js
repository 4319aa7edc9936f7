// What the reader chose last time; a browser may forbid storage, and the page works without.

/**
 * What was kept.
 * @param {string} name Of the choice.
 * @returns {?string} The choice; null where there is none.
 */
export function recall(name) {
  try {
    return localStorage.getItem(name);
  } catch (refused) {
    return null;
  }
}

/**
 * Keep a choice, or drop it.
 * @param {string} name Of the choice.
 * @param {?string} value What was chosen; null drops it.
 */
export function keep(name, value) {
  try {
    if (value === null) localStorage.removeItem(name);
    else localStorage.setItem(name, value);
  } catch (refused) {
    // The choice holds until the page is closed.
  }
}
