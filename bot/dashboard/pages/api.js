// Questions to the server. Whatever goes wrong becomes one sentence.

/** A refusal or a failure of the server, with the sentence that it gave. */
export class ApiError extends Error {
  /**
   * @param {string} sentence What to show.
   * @param {number} status Of HTTP; 0 where there was no answer.
   */
  constructor(sentence, status) {
    super(sentence);
    this.name = "ApiError";
    this.status = status;
  }
}

const PATIENCE_MS = 15000;

/**
 * Ask for JSON.
 * @param {string} path Such as "/api/overview".
 * @param {Object<string, any>} [query] Parameters; what is null, undefined or empty is left out.
 * @returns {Promise<any>} The answer.
 * @throws {ApiError} Where there is none, or a refusal.
 */
export async function ask(path, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const tail = given.length ? `?${new URLSearchParams(given)}` : "";
  let answer;
  try {
    answer = await fetch(path + tail, { headers: { Accept: "application/json" }, signal: AbortSignal.timeout(PATIENCE_MS) });
  } catch (cause) {
    throw new ApiError(`The dashboard does not answer (${cause.name === "TimeoutError" ? "it took too long" : "no connection"}).`, 0);
  }
  const body = await answer.json().catch(() => null);
  if (answer.ok && body !== null) return body;
  throw new ApiError(refusal(answer.status, body), answer.status);
}

/**
 * The sentence of a refusal.
 * @param {number} status Of HTTP.
 * @param {any} body What came with it.
 * @returns {string} The sentence.
 */
function refusal(status, body) {
  if (body && typeof body.error === "string") return body.error;
  if (status === 401) return "This address needs its token: open the address that `bot dashboard` printed.";
  return `The dashboard answered with status ${status}.`;
}
