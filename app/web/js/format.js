/** Writes figures and times for people. */

/**
 * @param {number} count
 * @param {string} one
 * @param {string} [many]
 * @returns {string}
 */
export function plural(count, one, many = `${one}s`) {
  return `${count.toLocaleString("en-US")} ${count === 1 ? one : many}`;
}

/**
 * @param {number} seconds
 * @returns {string}
 */
export function duration(seconds) {
  if (!Number.isFinite(seconds) || seconds < 0) return "0 s";
  if (seconds < 0.95) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/**
 * @param {number} usd
 * @returns {string}
 */
export function money(usd) {
  if (!usd) return "$0";
  return usd < 0.01 ? `$${usd.toPrecision(2)}` : `$${usd.toFixed(2)}`;
}

/**
 * @param {number} bytes
 * @returns {string}
 */
export function size(bytes) {
  if (bytes < 1000) return `${bytes} B`;
  if (bytes < 1e6) return `${(bytes / 1e3).toFixed(bytes < 1e4 ? 1 : 0)} kB`;
  return `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
}

/**
 * Say how long ago something was; dates for what is older than a week.
 *
 * @param {string} iso
 * @param {number} [now]
 * @returns {string}
 */
export function ago(iso, now = Date.now()) {
  const then = instant(iso);
  if (!then) return "";
  const seconds = Math.max(0, (now - then) / 1000);
  if (seconds < 60) return "just now";
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  if (seconds < 7 * 86400) return `${Math.floor(seconds / 86400)} d ago`;
  return new Date(then).toLocaleDateString("en-US", { day: "numeric", month: "short", year: "numeric" });
}

/**
 * Read an ISO time; one without a zone is UTC.
 *
 * @param {string|null|undefined} iso
 * @returns {number} milliseconds, 0 when there is none
 */
export function instant(iso) {
  if (!iso) return 0;
  const zoned = /(?:Z|[+-]\d\d:?\d\d)$/.test(iso) ? iso : `${iso}Z`;
  return Date.parse(zoned) || 0;
}

const STATUS_WORDS = {
  queued: "Queued",
  running: "Running",
  waiting_approval: "Needs approval",
  waiting_input: "Needs an answer",
  waiting_budget: "Out of budget",
  paused: "Paused",
  succeeded: "Done",
  failed: "Failed",
  cancelled: "Stopped",
};

/**
 * @param {string} status
 * @returns {string}
 */
export function statusWord(status) {
  return /** @type {Record<string, string>} */ (STATUS_WORDS)[status] ?? status.replaceAll("_", " ");
}

/**
 * @param {string} status
 * @returns {boolean}
 */
export function isFinal(status) {
  return status === "succeeded" || status === "failed" || status === "cancelled";
}
