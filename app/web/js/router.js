/** The part of the address after `#` says what is shown. */

/** @typedef {{name: "welcome"|"task"|"memory"|"agents", id: string}} Route */

/**
 * @param {string} hash
 * @returns {Route}
 */
export function parseRoute(hash) {
  const [name, id = ""] = hash.replace(/^#\/?/, "").split("/");
  if (name === "tasks" && id) return { name: "task", id: decode(id) };
  if (name === "memory" || name === "agents") return { name, id: "" };
  return { name: "welcome", id: "" };
}

/**
 * @param {string} part
 * @returns {string}
 */
function decode(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
